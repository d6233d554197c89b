package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/sluicehub/sluice/log/vfs"
)

// Suffixes of the files of a segment.
const (
	LogSuffix       = ".log"
	IndexSuffix     = ".index"
	TimeIndexSuffix = ".timeindex"
	TxnIndexSuffix  = ".txnindex"
	SnapshotSuffix  = ".snapshot" // producer state at the offset in the name
	CleanedSuffix   = ".cleaned"  // compaction's output before it takes the place
)

// FileName is the name of a file of the segment with a base offset: 20 digits
// and the suffix.
func FileName(base int64, suffix string) string { return fmt.Sprintf("%020d%s", base, suffix) }

// ParseFileName reads what FileName makes.
func ParseFileName(name, suffix string) (base int64, ok bool) {
	if len(name) != 20+len(suffix) || name[20:] != suffix {
		return 0, false
	}
	base, err := strconv.ParseInt(name[:20], 10, 64)
	return base, err == nil && base >= 0
}

// Segment is one log file with its indexes. One goroutine appends; any number
// may look up and read at the same time.
type Segment struct {
	fs   vfs.FS
	dir  string
	base int64
	log  vfs.File

	reserved int64 // bytes of the log file that have room on the disk; of the goroutine that appends

	mu         sync.Mutex // guards what follows; never held during I/O on the log file
	size       int64
	next       int64
	offsets    *table
	times      *table
	aborted    *table
	interval   int64
	sinceEntry int64 // bytes since the last index entry
	maxTS      int64
	maxTSRel   uint32
	firstTS    int64 // of the first batch, NoTimestamp when empty
	sealed     bool
}

// Create makes an empty segment file. The name is durable after SyncDir.
func Create(fsys vfs.FS, dir string, base, indexInterval int64) (*Segment, error) {
	f, err := fsys.Create(filepath.Join(dir, FileName(base, LogSuffix)))
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	return newSegment(fsys, dir, base, f, indexInterval), nil
}

func newSegment(fsys vfs.FS, dir string, base int64, f vfs.File, interval int64) *Segment {
	return &Segment{
		fs: fsys, dir: dir, base: base, log: f, next: base, interval: interval,
		offsets: &table{width: offsetEntry}, times: &table{width: timeEntry}, aborted: &table{width: abortedEntry},
		maxTS: NoTimestamp, firstTS: NoTimestamp,
	}
}

// Base is the offset in the segment's name.
func (s *Segment) Base() int64 { return s.base }

// Path of the log file.
func (s *Segment) Path() string { return s.path(LogSuffix) }

func (s *Segment) path(suffix string) string { return filepath.Join(s.dir, FileName(s.base, suffix)) }

// Size in bytes of what was appended.
func (s *Segment) Size() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.size }

// Next is the offset after the last record.
func (s *Segment) Next() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.next }

// MaxTimestamp is the largest timestamp in the segment and the last offset of
// the batch that has it; NoTimestamp when there is none.
func (s *Segment) MaxTimestamp() (ms, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxTS, s.base + int64(s.maxTSRel)
}

// FirstTimestamp is the largest timestamp of the first batch, or NoTimestamp.
func (s *Segment) FirstTimestamp() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.firstTS }

// Fits tells whether a batch ending at lastOffset can be indexed here: offsets
// and positions in the indexes have 31 bits.
func (s *Segment) Fits(lastOffset int64, bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return lastOffset-s.base < 1<<31 && s.size+int64(bytes) < 1<<31
}

// Write writes whole batches at the end. Nothing counts as appended before
// Commit, so a failed write leaves the segment as it was; Undo removes what it
// may have left in the file.
func (s *Segment) Write(batches []byte) error {
	size := s.Size()
	s.reserve(size, size+int64(len(batches)))
	n, err := s.log.WriteAt(batches, size)
	if err == nil && n < len(batches) {
		err = fmt.Errorf("short write of %d of %d bytes", n, len(batches))
	}
	return err
}

// Undo cuts off what a failed Write left.
func (s *Segment) Undo() error { return s.log.Truncate(s.Size()) }

// Commit counts the next batch of what Write wrote.
func (s *Segment) Commit(h *Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commit(h)
}

func (s *Segment) commit(h *Header) {
	pos := s.size
	s.size += int64(h.Size())
	s.next = h.NextOffset()
	rel := uint32(h.LastOffset() - s.base)
	if s.firstTS == NoTimestamp {
		s.firstTS = h.MaxTimestamp
	}
	if h.MaxTimestamp > s.maxTS {
		s.maxTS, s.maxTSRel = h.MaxTimestamp, rel
	}
	if s.sinceEntry > s.interval {
		s.offsets.addOffset(rel, pos)
		s.noteTime()
		s.sinceEntry = 0
	}
	s.sinceEntry += int64(h.Size())
}

// noteTime adds the maximum so far to the time index if it rose.
func (s *Segment) noteTime() {
	if s.maxTS < 0 {
		return
	}
	if n := s.times.n; n > 0 {
		if last, _ := timeOf(s.times.mem[(n-1)*timeEntry:]); last >= s.maxTS {
			return
		}
	}
	s.times.addTime(s.maxTS, s.maxTSRel)
}

// Sealed tells whether Seal was done or the segment was opened sealed.
func (s *Segment) Sealed() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.sealed }

// Sync makes everything written durable.
func (s *Segment) Sync() error { return s.log.Sync() }

// ReadAt reads from the log file.
func (s *Segment) ReadAt(p []byte, pos int64) (int, error) { return s.log.ReadAt(p, pos) }

// Seal makes the segment durable and writes its indexes; nothing is appended
// after it. The caller syncs the directory. A segment whose Seal failed can be
// sealed again, unless the log file's sync failed, which the first result tells.
func (s *Segment) Seal() (syncFailed bool, err error) {
	if err := s.giveBack(); err != nil {
		return false, err
	}
	if err := s.log.Sync(); err != nil {
		return true, fmt.Errorf("sync %s: %w", s.Path(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return false, nil
	}
	s.noteTime()
	aborted, err := s.sealTxnIndex()
	if err != nil {
		return false, err
	}
	offsets, err := s.writeTable(s.offsets, IndexSuffix)
	if err != nil {
		return false, errors.Join(err, aborted.close())
	}
	times, err := s.writeTable(s.times, TimeIndexSuffix)
	if err != nil {
		return false, errors.Join(err, aborted.close(), offsets.close())
	}
	s.offsets, s.times, s.aborted, s.sealed = offsets, times, aborted, true
	return false, nil
}

func (s *Segment) writeTable(t *table, suffix string) (*table, error) {
	f, err := s.fs.Create(s.path(suffix))
	if err != nil {
		return nil, fmt.Errorf("create index: %w", err)
	}
	if len(t.mem) > 0 {
		_, err = f.WriteAt(t.mem, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write index %s: %w", s.path(suffix), err), f.Close())
	}
	return &table{width: t.width, file: f, n: t.n}, nil
}

// Close closes the files.
func (s *Segment) Close() error {
	err := s.giveBack()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(err, s.log.Close(), s.offsets.close(), s.times.close(), s.aborted.close())
}

// Remove deletes the files of the segment with a base offset, the log first:
// an index without a log means nothing.
func Remove(fsys vfs.FS, dir string, base int64) error {
	var errs []error
	for _, suffix := range []string{LogSuffix, IndexSuffix, TimeIndexSuffix, TxnIndexSuffix, SnapshotSuffix} {
		errs = append(errs, removeIfThere(fsys, filepath.Join(dir, FileName(base, suffix))))
	}
	return errors.Join(errs...)
}

func removeIfThere(fsys vfs.FS, path string) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
