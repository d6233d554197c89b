package cdc_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

func TestInboxReadsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "signals")
	const lines = `{"id":"1","type":"execute-snapshot","data":{"data-collections":["s.a"]}}

{"id":"2","type":"log","data":"{\"message\": \"hello\"}"}
{"id":"3","type":"stop-snapshot"}
{"id":"4","type":"nonsense"}
not JSON
`
	if err := os.WriteFile(name, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	v := signalValues(t, map[string]string{"signal.enabled.channels": "source,file", "signal.file": name, "signal.poll.interval.ms": "1"})
	var log bytes.Buffer
	inbox := cdc.OpenInbox(v, 0, true, slog.New(slog.NewTextHandler(&log, nil)))
	got := takeSignals(t, inbox, 3)
	inbox.Close()
	want := []connectors.Signal{{ID: "1", Type: "execute-snapshot", Data: `{"data-collections":["s.a"]}`}, {ID: "2", Type: "log", Data: `{"message": "hello"}`}, {ID: "3", Type: "stop-snapshot"}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	if left, err := os.ReadFile(name); err != nil || len(left) > 0 {
		t.Errorf("the file has %q left, %v", left, err)
	}
	if text := log.String(); !strings.Contains(text, "nonsense") || !strings.Contains(text, "not JSON") {
		t.Errorf("what could not be read was not logged: %s", text)
	}
}
