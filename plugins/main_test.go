package plugins_test

import (
	"testing"

	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Main(m, filestream.Source{}, filestream.Sink{}, mock.Source{}, troubleSource{}, troubleSink{})
}
