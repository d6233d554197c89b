package log

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// DiskState says what is done about how full the disk is.
type DiskState int32

const (
	// DiskOK: below both marks.
	DiskOK DiskState = iota
	// DiskWarn: above Options.DiskWarnPercent; it is said, and nothing else.
	DiskWarn
	// DiskReject: above Options.DiskRejectPercent; producers are refused. Reads,
	// vital topics, transaction markers, and everything that deletes or
	// configures go on.
	DiskReject
)

func (s DiskState) String() string { return [...]string{"ok", "warn", "reject"}[s] }

const (
	diskLook    = time.Second // the oldest answer of the file system that an append relies on
	diskLookMax = 64 << 20    // and after so many bytes it asks again in any case
)

// disk watches how full the file system of the data directory is, and has the
// ballast: a file that is given up when nothing is left, so that the node can
// still write what it needs to get out of there.
//
// One that the file system cannot measure is never full.
type disk struct {
	log *Log

	state  atomic.Int32 // DiskState
	room   atomic.Int64 // bytes that may be appended before the next look
	looked atomic.Int64 // when, ms since 1970

	mu      sync.Mutex // looking, and the ballast
	space   vfs.Space
	ballast int64 // bytes of the file, 0 when it is gone
	failed  bool  // said that the file system does not answer
}

func (d *disk) State() DiskState { return DiskState(d.state.Load()) }

// admit refuses n bytes of a producer above the reject mark.
func (d *disk) admit(n int, now time.Time) error {
	if d.room.Add(-int64(n)) < 0 || now.UnixMilli()-d.looked.Load() >= diskLook.Milliseconds() {
		d.look()
	}
	if d.State() != DiskReject {
		return nil
	}
	d.log.noSpace.Add(1)
	return fmt.Errorf("%w: the disk is more than %d%% full, and no records are taken until it is less", ErrNoSpace, d.log.opts.DiskRejectPercent)
}

// look asks how full the disk is and acts on the answer.
func (d *disk) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.measure() {
		return
	}
	if d.ballast > 0 && d.space.Usable < d.ballast {
		d.dropBallast()
	}
	d.judge()
	// With enough room beside it not to be given up again at once.
	if size := d.ballastSize(); d.ballast == 0 && d.State() != DiskReject && d.space.Usable-size > max(size, d.left(d.log.opts.DiskRejectPercent)) {
		d.makeBallast()
	}
}

// measure asks the file system. Call with mu.
func (d *disk) measure() bool {
	d.looked.Store(d.log.clock.Now().UnixMilli())
	d.room.Store(diskLookMax)
	s, err := d.log.Space()
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) && !d.failed {
			d.log.logger.Warn("the file system does not say how full it is", slog.String("dir", d.log.dir), slog.Any("error", err))
		}
		d.failed = true
		return false
	}
	d.space, d.failed = s, false
	// Half of what is left to the mark, so that large appends do not run over it.
	d.room.Store(min(diskLookMax, max(0, s.Usable-d.left(d.log.opts.DiskRejectPercent))/2))
	return true
}

// left is how much is usable when the disk is at a mark, as df counts: what is
// kept from this process is neither used nor free. Call with mu.
func (d *disk) left(percent int) int64 {
	ours := d.space.Total - d.space.Free + d.space.Usable
	return int64(float64(ours) * float64(100-percent) / 100)
}

// percent is how full the disk is. Call with mu.
func (d *disk) percent() int {
	used := d.space.Total - d.space.Free
	return int(math.Ceil(100 * float64(used) / float64(max(1, used+d.space.Usable))))
}

// judge finds the state and says when it changes. A state that was entered is
// left a tenth of the way back to the empty disk's, so that it does not come and
// go with every segment. Call with mu.
func (d *disk) judge() {
	o, was := &d.log.opts, d.State()
	above := func(percent int, in bool) bool {
		left := d.left(percent)
		if in {
			left += left / 10
		}
		return d.space.Usable <= left
	}
	now := DiskOK
	switch {
	case above(o.DiskRejectPercent, was == DiskReject):
		now = DiskReject
	case above(o.DiskWarnPercent, was != DiskOK):
		now = DiskWarn
	}
	d.state.Store(int32(now))
	if now == was {
		return
	}
	attrs := []any{slog.String("dir", d.log.dir), slog.Int("percent", d.percent()), slog.Int64("usable.bytes", d.space.Usable),
		slog.Int("warn.percent", o.DiskWarnPercent), slog.Int("reject.percent", o.DiskRejectPercent)}
	switch {
	case now == DiskReject:
		d.log.logger.Error("the disk is full: no records are taken until there is space again; make space, or lower retention.bytes or retention.ms of large topics", attrs...)
	case was == DiskReject:
		d.log.logger.Warn("the disk has space again: records are taken", attrs...)
	case now == DiskWarn:
		d.log.logger.Warn("the disk is getting full; make space, or lower retention.bytes or retention.ms of large topics", attrs...)
	default:
		d.log.logger.Info("the disk has enough space again", attrs...)
	}
}

// noSpace tells an error of a full disk.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ErrNoSpace)
}
