package log

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestStateFileIsKeptWholeOrNamed(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if b, err := l.LoadState("notes"); b != nil || err != nil {
		t.Fatalf("before it was saved: %q, %v", b, err)
	}
	for _, text := range []string{"one", "", "two\nlines"} {
		if err := l.SaveState("notes", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := l.LoadState("notes"); string(b) != text || b == nil || err != nil {
			t.Fatalf("saved %q, loaded %q, %v", text, b, err)
		}
	}
	path := filepath.Join(dir, "notes")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{{}, good[:len(good)-1], good[3:], append([]byte("x"), good...)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := l.LoadState("notes"); !errors.Is(err, ErrStorage) {
			t.Errorf("%q: loaded %q, %v", bad, b, err)
		}
	}
}
