package configs

import (
	"errors"
	"strconv"
	"strings"
)

// Severity tells what stops a configuration from what only deserves a look.
type Severity string

// The severities. The zero value counts as Error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing wrong with a configuration. Nothing in it is secret.
type Problem struct {
	Key      string   `json:"key,omitempty"`   // "" if it belongs to no single key
	Value    string   `json:"value,omitempty"` // as given, or HiddenValue if the key is a secret
	Message  string   `json:"message"`
	Severity Severity `json:"severity"`
	Near     string   `json:"near,omitempty"` // the known name nearest to an unknown one
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"` // from 1; 0 is unknown
	Column   int      `json:"column,omitempty"`
}

// IsError reports whether the problem stops the configuration.
func (p Problem) IsError() bool { return p.Severity != Warning }

// String prints the problem on one line, as compilers do: "orders.properties:3: warning: message".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
		for _, n := range []int{p.Line, p.Column} {
			if n > 0 {
				b.WriteString(strconv.Itoa(n))
				b.WriteByte(':')
			}
		}
		b.WriteByte(' ')
	}
	if !p.IsError() {
		b.WriteString("warning: ")
	}
	if p.Key != "" && !strings.Contains(p.Message, p.Key) {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// KeyError returns an error that belongs to a key.
func KeyError(key, message string) Problem {
	return Problem{Key: key, Message: message, Severity: Error}
}

// KeyWarning returns a warning that belongs to a key.
func KeyWarning(key, message string) Problem {
	return Problem{Key: key, Message: message, Severity: Warning}
}

// Error is String, so that a Problem can be returned as an error.
func (p Problem) Error() string { return p.String() }

// Err returns the errors among the problems as one error, a line each, or nil if there are only warnings.
func Err(problems []Problem) error {
	var lines []string
	for _, p := range problems {
		if p.IsError() {
			lines = append(lines, p.String())
		}
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}
