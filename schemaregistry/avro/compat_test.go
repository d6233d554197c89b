package avro

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The file says what Apache Avro 1.12.0 for Java answers to each pair of reader and writer: type, location and message
// of each incompatibility, or "error" where it throws.
func TestCanReadAnswersAsJava(t *testing.T) {
	text, err := os.ReadFile("testdata/java-compat.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Schemas map[string]string
		Pairs   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	schemas := make(map[string]*Schema)
	for name, s := range c.Schemas {
		schemas[name] = mustParse(t, s)
	}
	n := 0
	for reader, writers := range c.Pairs {
		for writer, want := range writers {
			n++
			found, err := CanRead(schemas[reader], schemas[writer])
			got := [][3]string{}
			for _, i := range found {
				got = append(got, [3]string{i.Type, i.Location, i.Message})
			}
			var list [][3]string
			if string(want) == `"error"` {
				if err == nil {
					t.Errorf("%s read as %s: no error", c.Schemas[writer], c.Schemas[reader])
				}
			} else if err := json.Unmarshal(want, &list); err != nil {
				t.Fatal(err)
			} else if diff := cmp.Diff(list, got); diff != "" {
				t.Errorf("%s read as %s (-want +got):\n%s", c.Schemas[writer], c.Schemas[reader], diff)
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d pairs", n)
	}
}

func record(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }

// One check shares nothing with another, so many at once answer alike. (Run with -race.)
func TestCanReadInParallel(t *testing.T) {
	var fields, bad []string
	for i := range 300 {
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":{"type":"record","name":"N%d","fields":[{"name":"x","type":["null","R"]}]}}`, i, i))
	}
	bad = slices.Clone(fields)
	bad[299] = `{"name":"f299","type":"int"}`
	r, w := mustParse(t, record(strings.Join(bad, ","))), mustParse(t, record(strings.Join(fields, ",")))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if found, err := CanRead(r, w); len(found) == 0 || err != nil {
					t.Error("compatible", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestHostileSchemasAreComparedFast(t *testing.T) {
	// Each type uses the next one twice, so that what is found at the end is repeated 2^40 times.
	nest := func(leaf string) *Schema {
		text := fmt.Sprintf(`{"type":"record","name":"R0","fields":[{"name":"a","type":"%s"}]}`, leaf)
		for i := range 40 {
			text = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":"R%d"}]}`, i+1, text, i)
		}
		return mustParse(t, text)
	}
	start := time.Now()
	found, err := CanRead(nest("int"), nest("string"))
	if err != nil || len(found) == 0 || len(found) > maxIncompatibilities {
		t.Error(len(found), err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
