package access

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// recheck is how often a file is looked at.
const recheck = time.Second

// file is the parsed contents of a file, read again when it has changed. A nil file has the zero value in it. While a
// changed file cannot be read, nobody gets in by it.
type file[T any] struct {
	path  string
	now   func() time.Time
	parse func([]byte) (T, error)

	mu      sync.Mutex
	checked time.Time
	info    os.FileInfo
	value   T
	err     error
}

// openFile reads a file, nil for no path.
func openFile[T any](path string, now func() time.Time, parse func([]byte) (T, error)) (*file[T], error) {
	if path == "" {
		return nil, nil
	}
	f := &file[T]{path: path, now: now, parse: parse}
	_, err := f.get()
	return f, err
}

func (f *file[T]) get() (T, error) {
	if f == nil {
		var none T
		return none, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); f.checked.IsZero() || now.Sub(f.checked) >= recheck {
		f.checked = now
		f.read()
	}
	return f.value, f.err
}

// read reads the file, unless it is the one that was read.
func (f *file[T]) read() {
	info, err := os.Stat(f.path)
	if err != nil {
		f.info, f.err = nil, err
		return
	}
	if f.info != nil && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return
	}
	f.info = info
	text, err := os.ReadFile(f.path)
	if err == nil {
		if f.value, err = f.parse(text); err != nil {
			err = fmt.Errorf("%s: %w", f.path, err)
		}
	}
	f.err = err
}

// lines calls do with each line that is not empty and no comment. Errors get its number.
func lines(text []byte, do func(line string) error) error {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}
