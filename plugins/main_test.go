package plugins_test

import (
	"os"
	"testing"

	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "hub" {
		actAsHub()
		return
	}
	plugintest.Main(m, filestream.Source{}, filestream.Sink{}, mock.Source{}, troubleSource{}, troubleSink{})
}
