package mock_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, mock.Source{}) }

func TestConformance(t *testing.T) {
	for name, extra := range map[string]map[string]string{
		"one table":    {"tables": "1"},
		"three tables": {"tables": "3"},
		"at a rate":    {"tables": "1", "rows.per.second": "2000"},
	} {
		t.Run(name, func(t *testing.T) { conformance(t, extra) })
	}
}

func conformance(t *testing.T, extra map[string]string) {
	plugintest.Walls(t, mock.Source{}, func(t *testing.T, c connectors.Connector) {
		connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{
			Rows: 300,
			Identify: func(r *connectors.Record) string {
				return r.Topic + string(r.Key.Bytes) + string(r.Value.Bytes)
			},
			Fresh: func(t *testing.T, rows int) connectortest.SourceWorld {
				config := map[string]string{"rows.per.second": "0", "batch.size": "8"}
				for key, value := range extra {
					config[key] = value
				}
				tables, _ := strconv.Atoi(config["tables"])
				config["rows"] = strconv.Itoa((rows + tables - 1) / tables)
				return connectortest.SourceWorld{Config: config}
			},
			Broken: func(t *testing.T) []connectortest.Broken {
				return []connectortest.Broken{
					{Name: "no tables", Config: map[string]string{"tables": "0"}, Class: connectors.ClassConfig},
					{Name: "no such table", Config: map[string]string{"mock.assigned.tables": "1"}, Class: connectors.ClassConfig},
				}
			},
		})
	})
}

func TestPlanDealsTheTablesOut(t *testing.T) {
	tasks, err := mock.Source{}.Plan(t.Context(), map[string]string{"tables": "5"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{
		{"tables": "5", "mock.assigned.tables": "0,2,4"},
		{"tables": "5", "mock.assigned.tables": "1,3"},
	}
	if diff := cmp.Diff(want, tasks); diff != "" {
		t.Fatal(diff)
	}
}

func TestOffsetsThatMakeNoSense(t *testing.T) {
	for _, o := range []connectors.SourceOffset{
		{Partition: []byte(`{}`)},
		{Partition: []byte(`{"table":0}`), Offset: []byte(`{"row":-1}`)},
		{Partition: []byte(`{"table":0}`), Offset: []byte(`{"rows":1}`)},
		{Partition: []byte(`x`), Offset: []byte(`{"row":1}`)},
	} {
		_, err := mock.Source{}.AlterOffsets(t.Context(), nil, []connectors.SourceOffset{o})
		if connectors.ClassOf(err) != connectors.ClassConfig {
			t.Errorf("%s %s: %v", o.Partition, o.Offset, err)
		}
	}
}
