package log

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
)

// statePrefix begins the name of a file that a caller keeps in the data directory.
const statePrefix = "state-"

// A state file is one line and then the caller's bytes:
//
//	sluice-state 1 <crc32c of the rest, 8 hex digits>\n
//	…
const stateHead = "sluice-state 1 "

// seal puts a line with the checksum of the rest before it.
func seal(head string, body []byte) []byte {
	return append(fmt.Appendf(nil, "%s%08x\n", head, crc32.Checksum(body, castagnoli())), body...)
}

// unseal checks that line and returns the rest.
func unseal(head string, b []byte) ([]byte, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	sum, isHead := strings.CutPrefix(string(line), head)
	if !ok || !isHead {
		return nil, fmt.Errorf("first line %.40q is not %q and a checksum", line, head)
	}
	if want := fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli())); sum != want {
		return nil, fmt.Errorf("checksum is %s, computed %s", sum, want)
	}
	return body, nil
}

// SaveState keeps content under a name in the data directory, in place of what was there: what belongs to the cluster
// and to no topic, and is small. After a crash there is the old or the new content, and after return the new one. Calls
// for one name must not overlap.
func (l *Log) SaveState(name string, content []byte) error {
	if err := l.openForDDL(); err != nil {
		return err
	}
	if err := l.save(statePrefix+name, seal(stateHead, content)); err != nil {
		return storageError("keep the cluster's "+name, err)
	}
	return nil
}

// LoadState returns what SaveState kept last under the name, nil if nothing. A damaged file is an error.
func (l *Log) LoadState(name string) ([]byte, error) {
	b, err := readFile(l.fs, l.dir, statePrefix+name)
	if b == nil || err != nil {
		return nil, err
	}
	content, err := unseal(stateHead, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is damaged, restore it from a copy, or remove it to go on without what it holds: %w",
			ErrStorage, filepath.Join(l.dir, statePrefix+name), err)
	}
	return content, nil
}
