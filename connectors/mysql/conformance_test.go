package mysql_test

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/mysql"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, mysql.New()) }

// TestConformance reads rows from a snapshot and then from the log.
//
// There is no faulty world: an error of the source's Read always ends the task.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := server()(t)
	fresh := func(t *testing.T, rows int) connectortest.SourceWorld {
		b := newBench(t, server, "")
		b.script("CREATE TABLE items (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(20));")
		grow := func(n int) {
			for size := 1; n > 0; size = size*2%31 + 1 {
				sql := "INSERT INTO items (name) VALUES ('item')"
				for range min(size, n) - 1 {
					sql += ", ('item')"
				}
				b.script(sql + ";")
				n -= min(size, n)
			}
		}
		grow(rows)
		return connectortest.SourceWorld{Config: b.config(map[string]string{"max.batch.size": "7", "include.schema.changes": "false"}), Grow: grow}
	}
	plugintest.Walls(t, mysql.New(), func(t *testing.T, c connectors.Connector) {
		connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{
			Rows:     100,
			Identify: keyAndOp,
			Fresh:    fresh,
			Broken: func(t *testing.T) []connectortest.Broken {
				config := fresh(t, 0).Config
				with := func(key, value string) map[string]string {
					c := maps.Clone(config)
					c[key] = value
					return c
				}
				return []connectortest.Broken{
					{Name: "wrong password", Config: with("database.password", "wrong"), Class: connectors.ClassEnvironment},
					{Name: "wrong port", Config: with("database.port", strconv.Itoa(deadPort(t))), Class: connectors.ClassEnvironment},
					{Name: "no such mode", Config: with("snapshot.mode", "sometimes"), Class: connectors.ClassConfig},
				}
			},
		})
	})
}

// keyAndOp tells a row of the snapshot from the change that led to it.
func keyAndOp(r *connectors.Record) string {
	value, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
	if err != nil {
		return err.Error()
	}
	for i, field := range r.Value.Schema.Fields {
		if field.Name == "op" {
			return fmt.Sprintf("%x %s", r.Key.Bytes, value.List()[i].Text())
		}
	}
	return "a record without op"
}

// deadPort is a port where nobody listens.
func deadPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
