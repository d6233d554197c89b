package log

import (
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
)

// The durable-end file is a hint, written after an fsync but not synced
// itself: whatever version of it survives a crash is at most the truth. It lets
// recovery tell the loss of acknowledged records from a torn tail.
//
//	+----------------+----------------+
//	| offset i64     | crc32c of it   |
//	+----------------+----------------+
const durableFile = "durable-end" // ours, in a partition's folder

func encodeDurable(offset int64) [12]byte {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(offset))
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli()))
	return b
}

func decodeDurable(b []byte) (int64, bool) {
	if len(b) != 12 || crc32.Checksum(b[:8], castagnoli()) != binary.BigEndian.Uint32(b[8:]) {
		return 0, false
	}
	offset := int64(binary.BigEndian.Uint64(b))
	return offset, offset >= 0
}

// readHint returns what the durable-end file says, 0 if nothing, and makes a
// missing one.
func (p *Partition) readHint() (int64, error) {
	b, err := readFile(p.log.fs, p.dir, durableFile)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return 0, p.makeHint()
	}
	hint, _ := decodeDurable(b)
	return hint, nil
}

func (p *Partition) makeHint() error {
	f, err := p.log.fs.Create(filepath.Join(p.dir, durableFile))
	if err != nil {
		return err
	}
	return f.Close()
}

// noteDurable writes the hint for recovery. It is only a hint, so a failure
// changes nothing. The file is not kept open: it is never synced, and there are
// as many as partitions. In the folder of a topic made anew under the name, the
// end of the old one would be wrong.
func (p *Partition) noteDurable(end int64) {
	p.hintMu.Lock()
	defer p.hintMu.Unlock()
	if p.hintShut {
		return
	}
	f, err := p.log.fs.Open(filepath.Join(p.dir, durableFile))
	if err != nil {
		return
	}
	b := encodeDurable(end)
	_, _ = f.WriteAt(b[:], 0)
	_ = f.Close()
}

// shutHint ends noteDurable.
func (p *Partition) shutHint() {
	p.hintMu.Lock()
	defer p.hintMu.Unlock()
	p.hintShut = true
}
