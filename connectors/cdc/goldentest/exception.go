package goldentest

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Exceptions are the differences from Debezium that are meant. They may be used by several goroutines.
type Exceptions struct {
	list []*regexp.Regexp
	mu   sync.Mutex
	used map[*regexp.Regexp]bool
}

// ReadExceptions reads the lines of DEVIATIONS.md that begin with the mark and a regular expression in backquotes. It
// matches "SET TOPIC:LINE JSON-path: …" from the start. Tests have their exceptions from there and from nowhere else.
func ReadExceptions(deviations, mark string) (*Exceptions, error) {
	e := &Exceptions{used: map[*regexp.Regexp]bool{}}
	for line := range strings.Lines(deviations) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), mark+" `")
		if !ok {
			continue
		}
		re, err := regexp.Compile("^(?:" + strings.TrimSuffix(text, "`") + ")")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		e.list = append(e.list, re)
	}
	if len(e.list) == 0 {
		return nil, fmt.Errorf("no line begins with %q", mark)
	}
	return e, nil
}

// Unexcused returns the differences in a set of records that no exception names.
func (e *Exceptions) Unexcused(set string, differences []string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, d := range differences {
		excused := false
		for _, re := range e.list {
			if re.MatchString(set + " " + d) {
				excused, e.used[re] = true, true
			}
		}
		if !excused {
			out = append(out, d)
		}
	}
	return out
}

// Unused returns the exceptions that nothing needed so far.
func (e *Exceptions) Unused() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, re := range e.list {
		if !e.used[re] {
			out = append(out, re.String())
		}
	}
	return out
}
