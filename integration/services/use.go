package services

import (
	"context"
	"testing"
)

// use gives a test a server of its own: it ends with the test, and when the
// test failed the end of the server's log is in the test's.
func use[S interface {
	LogTail() string
	Close() error
}](tb testing.TB, start func(context.Context) (S, error)) S {
	tb.Helper()
	// Not tb.Context: that one ends before the clean-up functions run.
	s, err := start(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tail := s.LogTail(); tb.Failed() && tail != "" {
			tb.Logf("the end of the log of %T:\n%s", s, tail)
		}
		if err := s.Close(); err != nil {
			tb.Errorf("close %T: %v", s, err)
		}
	})
	return s
}
