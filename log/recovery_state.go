package log

import (
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/sluicehub/sluice/log/segment"
)

// The active-state file saves a start from reading the last segment:
//
//	sluice-active 1 <crc32c of the rest, 8 hex digits>\n
//	state of the segment (segment/state.go), producer snapshot (snapshot.go)
//
// It is written when a partition is closed, after everything in it is durable,
// and never synced. It counts while the segment is as it was then: the last one,
// of the same size, with the same end. So it needs no removal before the next
// append, and of a partition that was not written it counts after a crash too.
const (
	activeFile = "active-state" // ours, in a partition's folder
	activeHead = "sluice-active 1 "
)

// activeState says which segment a file is of, and of how many bytes. The zero
// value is that of a new partition, which needs no file.
type activeState struct{ base, size int64 }

// saveActive writes the file. It is only a help, so a failure changes nothing.
// Call with wmu, when all is synced.
func (p *Partition) saveActive() {
	s := p.active()
	if p.saved == (activeState{s.Base(), s.Size()}) || s.Sealed() {
		return
	}
	state, err := s.AppendState(nil)
	if err != nil {
		return
	}
	f, err := p.log.fs.Create(filepath.Join(p.dir, activeFile))
	if err != nil {
		return
	}
	_, _ = f.WriteAt(seal(activeHead, append(state, encodeSnapshot(p.producers)...)), 0)
	_ = f.Close()
}

// fromState opens the last segment and the producer state by the file, if it
// counts.
func (r *recovery) fromState() error {
	p := r.p
	base := r.bases[len(r.bases)-1]
	if !r.epochsOK {
		return nil // asks for a scan of everything
	}
	b, err := readFile(p.log.fs, p.dir, activeFile)
	if err != nil || b == nil {
		return err
	}
	state, err := unseal(activeHead, b)
	if err != nil {
		r.logger.Info("the state of the last segment is unreadable; it is scanned", slog.Any("error", err))
		return nil
	}
	s, rest, err := segment.OpenWithState(p.log.fs, p.dir, base, p.topic.Config().IndexInterval, state)
	if errors.Is(err, segment.ErrStale) {
		return nil // written to after it
	}
	if err != nil {
		return err
	}
	ps, err := decodeSnapshot(rest)
	if err != nil || s.Next() < r.hint {
		return s.Close()
	}
	p.producers, r.stateAt = ps, s.Next()
	r.opened, p.saved = s, activeState{base, s.Size()}
	return nil
}
