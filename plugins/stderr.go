package plugins

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxLine is how much of a line of a child's output is kept.
	maxLine = 8 << 10
	// lastLines is how many lines are remembered for when the child ends.
	lastLines = 40
	// maxKept bounds the remembered lines in bytes.
	maxKept = 16 << 10
	// Of a child's output this many lines are logged at once, and this many per second afterwards.
	logBurst = 500
	logRate  = 50
)

// output takes what a child writes on standard error (and, for programs that do not know better, on standard output):
// lines of slog's JSON, which are logged anew with their level and attributes, and anything else, which is logged as
// it is. A flood of it costs a bounded amount of memory and of log. It is an io.Writer for several goroutines.
type output struct {
	log *slog.Logger

	mu       sync.Mutex
	line     []byte // the unfinished one
	last     []string
	size     int
	crash    bool // a Go program is printing why it dies: the beginning of that is what matters
	tokens   float64
	filled   time.Time
	withheld int
}

func newOutput(log *slog.Logger) *output {
	return &output{log: log, tokens: logBurst, filled: time.Now()}
}

// Write implements io.Writer. It never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		o.line = append(o.line, part[:min(len(part), maxLine-len(o.line))]...)
		if i < 0 {
			break
		}
		o.finish()
		p = p[i+1:]
	}
	return n, nil
}

// finish takes the line that is complete.
func (o *output) finish() {
	line := strings.ToValidUTF8(strings.TrimRight(string(o.line), "\r"), "\uFFFD")
	o.line = o.line[:0]
	if line == "" {
		return
	}
	entry, ok := parseEntry(line)
	if !ok {
		o.remember(line)
	} else if entry.level >= slog.LevelWarn {
		o.remember(entry.level.String() + " " + entry.message)
	}
	if !o.allowed() {
		return
	}
	if ok {
		o.log.LogAttrs(context.Background(), entry.level, entry.message, entry.attrs...)
		return
	}
	o.log.Info("output of the connector's process", "line", line)
}

// remember keeps a line for when the child ends. From the line on with which Go begins to print a panic, the first
// ones are kept and not the last.
func (o *output) remember(line string) {
	if !o.crash && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
		o.crash, o.last, o.size = true, nil, 0
	}
	if o.crash && (len(o.last) >= lastLines || o.size+len(line) > maxKept) {
		return
	}
	o.last = append(o.last, line)
	o.size += len(line)
	for len(o.last) > lastLines || o.size > maxKept && len(o.last) > 1 {
		o.size -= len(o.last[0])
		o.last = o.last[1:]
	}
}

// allowed reports whether another line may be logged now, and says so when some were not.
func (o *output) allowed() bool {
	now := time.Now()
	o.tokens = min(logBurst, o.tokens+now.Sub(o.filled).Seconds()*logRate)
	o.filled = now
	if o.tokens < 1 {
		o.withheld++
		return false
	}
	o.tokens--
	if o.withheld > 0 {
		o.log.Warn("the connector's process writes more than is logged", "withheld_lines", o.withheld)
		o.withheld = 0
	}
	return true
}

// tail returns the remembered lines.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.last
	if rest := strings.ToValidUTF8(string(o.line), "\uFFFD"); rest != "" && !o.crash {
		lines = append(lines[:len(lines):len(lines)], rest)
	}
	return strings.Join(lines, "\n")
}

// entry is a line of slog's JSON.
type entry struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

func parseEntry(line string) (entry, bool) {
	if !strings.HasPrefix(line, `{"time":`) {
		return entry{}, false
	}
	d := json.NewDecoder(strings.NewReader(line))
	var e entry
	if _, err := d.Token(); err != nil { // the brace
		return e, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return e, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return e, false
		}
		if err := e.add(name.(string), value); err != nil {
			return e, false
		}
	}
	return e, true
}

func (e *entry) add(name string, value json.RawMessage) error {
	switch name {
	case slog.TimeKey:
		return nil
	case slog.LevelKey:
		return json.Unmarshal(value, &e.level)
	case slog.MessageKey:
		return json.Unmarshal(value, &e.message)
	}
	e.attrs = append(e.attrs, slog.Attr{Key: name, Value: logValue(value)})
	return nil
}

// logValue returns a value of a log line as what it was: text, a number, a boolean; anything else as its JSON.
func logValue(value json.RawMessage) slog.Value {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return slog.StringValue(text)
	}
	if i, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return slog.Int64Value(i)
	}
	if f, err := strconv.ParseFloat(string(value), 64); err == nil {
		return slog.Float64Value(f)
	}
	if b, err := strconv.ParseBool(string(value)); err == nil {
		return slog.BoolValue(b)
	}
	return slog.StringValue(string(value))
}
