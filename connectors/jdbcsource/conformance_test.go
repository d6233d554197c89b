package jdbcsource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// Every kind of database passes the suite of all sources, in each mode that tells rows apart.
func TestConformance(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		run := func(m mode) func(t *testing.T, c connectors.Connector) {
			return func(t *testing.T, c connectors.Connector) {
				connectortest.RunSource(t, c.(connectors.SourceConnector), conformance(s, m))
			}
		}
		if s.kind == sqldb.SQLite {
			plugintest.Walls(t, New(), run(timestampIncrementing))
		}
		t.Run("incrementing", func(t *testing.T) { run(incrementing)(t, New()) })
		t.Run("timestamp", func(t *testing.T) { run(timestamp)(t, New()) })
	})
}

func conformance(s *server, m mode) connectortest.Source {
	columns := []string{"mode", string(m), "incrementing.column.name", "n", "timestamp.column.name", "at", "batch.max.rows", "7", "topic.prefix", "t-"}
	switch m {
	case incrementing:
		columns[4], columns[5] = "table.types", "TABLE"
	case timestamp:
		columns[2], columns[3] = "table.types", "TABLE"
	}
	fresh := func(t *testing.T, rows int, pairs ...string) (world connectortest.SourceWorld, table string) {
		s.worlds++
		table = fmt.Sprintf("c%d", s.worlds)
		precision := "(6)"
		if s.kind == sqldb.SQLite {
			precision = ""
		}
		s.exec(t, "CREATE TABLE "+table+" (n bigint NOT NULL PRIMARY KEY, at timestamp"+precision+" NOT NULL)")
		written := 0
		grow := func(n int) {
			values := make([]string, n)
			for i := range values {
				written++
				values[i] = fmt.Sprintf("(%d, '2024-01-01 %02d:%02d:%02d.125')", written, written/3600, written/60%60, written%60)
			}
			s.exec(t, "INSERT INTO "+table+" (n, at) VALUES "+strings.Join(values, ", "))
		}
		grow(rows)
		return connectortest.SourceWorld{Config: s.with(append(columns, pairs...)...), Grow: grow}, table
	}
	return connectortest.Source{
		Fresh: func(t *testing.T, rows int) connectortest.SourceWorld {
			w, table := fresh(t, rows)
			w.Config["table.whitelist"] = table
			return w
		},
		// The table that a query reads is away until Mend, so that nothing can have been read ahead when Fail is called.
		Faulty: func(t *testing.T, rows int) connectortest.FaultyWorld {
			w, table := fresh(t, rows)
			w.Config["query"] = "SELECT * FROM " + table
			away := false
			move := func(to bool) {
				from, name := table, table+"_away"
				if !to {
					from, name = name, from
				}
				if to != away {
					s.exec(t, "ALTER TABLE "+from+" RENAME TO "+name)
				}
				away = to
			}
			move(true)
			return connectortest.FaultyWorld{SourceWorld: w, Fail: func() { move(true) }, Mend: func() { move(false) }}
		},
		Broken: func(t *testing.T) []connectortest.Broken {
			broken := []connectortest.Broken{
				{Name: "no address", Config: map[string]string{"mode": "bulk"}, Class: connectors.ClassConfig},
				{Name: "no mode", Config: s.with("mode", ""), Class: connectors.ClassConfig},
				{Name: "no timestamp column", Config: s.with("mode", "timestamp"), Class: connectors.ClassConfig},
			}
			nobody := map[string]string{"connection.url": "jdbc:" + string(s.kind) + "://127.0.0.1:1/x", "connection.attempts": "1", "mode": "bulk"}
			if s.kind == sqldb.SQLite {
				nobody["connection.url"] = "jdbc:sqlite:" + t.TempDir() + "/none.db"
			}
			return append(broken, connectortest.Broken{Name: "nobody there", Config: nobody, Class: connectors.ClassEnvironment})
		},
	}
}
