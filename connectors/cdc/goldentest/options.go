package goldentest

import (
	"os"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
)

// Options checks that a definition knows every key that a file lists, one in each line: those that Debezium 3.5's connector
// has. What has no effect must say so, and not be taken for a mistake in the spelling.
func Options(t *testing.T, d *configs.Definition, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(b))
	if len(names) < 100 {
		t.Fatalf("%s has %d names", file, len(names))
	}
	for _, name := range names {
		_, problems := d.Parse(map[string]string{name: "1"})
		for _, p := range problems {
			if p.Key == name && strings.HasPrefix(p.Message, "Unknown configuration") {
				t.Error(p.Message)
			}
		}
	}
}
