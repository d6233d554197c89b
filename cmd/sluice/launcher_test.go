package main

import (
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/plugins"
)

func TestVersionsOfAConnector(t *testing.T) {
	source := filestream.Source{}
	l := launcher{dir: plugins.NewDir(plugins.Options{Builtins: []connectors.Connector{source}})}
	for version, found := range map[string]bool{"": true, "latest": true, source.Info().Version: true, "0.0.9": false} {
		if _, err := l.Find(t.Context(), "FileStreamSource", version); (err == nil) != found {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
