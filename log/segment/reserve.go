package segment

import (
	"fmt"

	"github.com/sluicehub/sluice/log/vfs"
)

// Room on the disk is taken ahead of what is written, or the file system would
// look for blocks for each page of a write and change its maps at each sync:
// together a tenth of what an append costs. It is a part of what the segment
// holds, so that small ones take none and all together little. The size of the
// file stays that of what was written, for recovery and for Kafka's tools.
const (
	aheadPart  = 4
	aheadLeast = 64 << 10
	aheadMost  = 16 << 20
)

// reserve takes room for a write that is to end at end, and more. What it cannot
// have, the write does without, or fails and says why.
func (s *Segment) reserve(size, end int64) {
	ahead := min(size/aheadPart, aheadMost)
	if end <= s.reserved || ahead < aheadLeast {
		return
	}
	if r, ok := s.log.(vfs.Reserver); ok {
		s.reserved = end + ahead
		_ = r.Reserve(s.reserved)
	}
}

// giveBack ends the reservation of what was not written. After a crash, Truncate
// does.
func (s *Segment) giveBack() error {
	if s.reserved == 0 {
		return nil
	}
	if err := s.Undo(); err != nil {
		return fmt.Errorf("give back room of %s: %w", s.Path(), err)
	}
	s.reserved = 0
	return nil
}
