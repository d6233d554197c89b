package goldentest

import (
	"fmt"
	"os"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// Unknown returns the keys that a file lists, one in each line, and that a definition does not know: those that Debezium 3.5's
// connector has. What has no effect must say so, and not be taken for a mistake in the spelling.
func Unknown(d *configs.Definition, file string) (names []string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := strings.Fields(string(b))
	if len(all) < 100 {
		return nil, fmt.Errorf("%s has %d names only", file, len(all))
	}
	for _, name := range all {
		_, problems := d.Parse(map[string]string{name: "1"})
		for _, p := range problems {
			if p.Key == name && strings.HasPrefix(p.Message, "Unknown configuration") {
				names = append(names, name)
			}
		}
	}
	return names, nil
}
