package log

import (
	"errors"

	"github.com/sluicehub/sluice/log/vfs"
)

// Dir is the data directory.
func (l *Log) Dir() string { return l.dir }

// Space is how much room the data directory's file system has and leaves us. It fails where the file system cannot
// tell.
func (l *Log) Space() (vfs.Space, error) {
	if s, ok := l.fs.(vfs.Measured); ok {
		return s.Space(l.dir)
	}
	return vfs.Space{}, errors.ErrUnsupported
}
