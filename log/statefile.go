package log

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
)

// A state file is one line and what its owner put in:
//
//	sluice-state 1 <crc32c of the rest, 8 hex digits>\n
//	…
const stateHead = "sluice-state 1 "

// SaveState durably replaces a small file beside the topics, for what the users of the log must remember and what is
// no record. The name is a file name.
func (l *Log) SaveState(name string, content []byte) error {
	if err := l.openForDDL(); err != nil {
		return err
	}
	head := fmt.Sprintf("%s%08x\n", stateHead, crc32.Checksum(content, castagnoli()))
	if err := writeAtomic(l.fs, l.dir, name, append([]byte(head), content...)); err != nil {
		return storageError("save "+name, err)
	}
	return nil
}

// LoadState returns what SaveState last saved under a name, nil if that was nothing. A damaged file is an error.
func (l *Log) LoadState(name string) ([]byte, error) {
	b, err := readFile(l.fs, l.dir, name)
	if err != nil || b == nil {
		return nil, err
	}
	head, body, _ := bytes.Cut(b, []byte("\n"))
	sum, ok := strings.CutPrefix(string(head), stateHead)
	if want := fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli())); !ok || sum != want {
		return nil, fmt.Errorf("%w: %s in %s is damaged: its first line is %.40q, its checksum %s; remove it to go on without what it holds",
			ErrStorage, name, l.dir, head, want)
	}
	return body, nil
}
