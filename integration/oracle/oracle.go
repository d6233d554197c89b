package oracle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	_ "embed"

	"github.com/sluicehub/sluice/integration/services"
)

//go:embed Oracle.java
var program []byte

// question is about one text, or about a pair of them.
type question struct {
	Schema string `json:"schema,omitempty"`
	Reader string `json:"reader,omitempty"`
	Writer string `json:"writer,omitempty"`
}

// verdict is the answer: Error if a text is not accepted, or if the comparison fails.
type verdict struct {
	Error string `json:"error"`

	Text        string `json:"text"`
	Canonical   string `json:"canonical"`
	Fingerprint string `json:"fingerprint"`

	Incompatibilities [][3]string `json:"incompatibilities"` // kind, location, message
}

// ask asks Java all questions at once.
func ask(ctx context.Context, dir string, questions []question) ([]verdict, error) {
	source := filepath.Join(dir, "Oracle.java")
	if err := os.WriteFile(source, program, 0o644); err != nil {
		return nil, err
	}
	cmd, err := services.AvroProgram(ctx, source)
	if err != nil {
		return nil, err
	}
	var in, out, messages bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, q := range questions {
		if err := encoder.Encode(q); err != nil {
			return nil, err
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &messages
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, messages.String())
	}
	verdicts := make([]verdict, 0, len(questions))
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("answer %d of Java: %w", len(verdicts), err)
		}
		verdicts = append(verdicts, v)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(verdicts) != len(questions) {
		return nil, fmt.Errorf("%d answers of Java to %d questions", len(verdicts), len(questions))
	}
	return verdicts, nil
}
