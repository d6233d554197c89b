package postgres_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/postgres"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) {
	// What is tested here beside hundreds of other tests gives a loaded server more time than a user's status may take.
	if err := os.Setenv("PGCONNECT_TIMEOUT", "120"); err != nil {
		panic(err)
	}
	plugintest.Main(m, postgres.New())
}

// TestConformance reads rows from a snapshot, and from the slot. Once with a slot that moves with each commit, as it is
// in use: what was committed cannot be read again. And once with a slot that stays, so that every offset can be tried.
//
// There is no faulty world: an error of the source's Read always ends the task.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := serverWithPasswords(t)
	w := &worlds{server: server, db: server.NewDatabase(t)}
	plugintest.Walls(t, postgres.New(), func(t *testing.T, c connectors.Connector) {
		for _, mode := range []string{"initial", "no_data"} {
			for _, flush := range []string{"connector", "manual"} {
				t.Run(mode+" "+flush, func(t *testing.T) {
					connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{
						Rows:     100,
						Identify: keyAndOp,
						Anew:     func(o json.RawMessage) bool { return bytes.Contains(o, []byte(`"snapshot_completed":false`)) },
						Forgets:  flush == "connector",
						Fresh: func(t *testing.T, rows int) connectortest.SourceWorld {
							return w.fresh(t, rows, map[string]string{"snapshot.mode": mode, "lsn.flush.mode": flush})
						},
						Broken: func(t *testing.T) []connectortest.Broken { return w.broken(t) },
					})
				})
			}
		}
	})
}

// serverWithPasswords starts a server that asks the role reader for a password.
func serverWithPasswords(t *testing.T) *services.Postgres {
	t.Helper()
	server := ownServer(t, services.PostgresOptions{HBA: []string{
		"host all reader 127.0.0.1/32 scram-sha-256", "host replication reader 127.0.0.1/32 scram-sha-256",
		"host all all 127.0.0.1/32 trust"}})
	server.Exec(t, "postgres", "CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'right'")
	return server
}

// worlds makes tables in one database.
type worlds struct {
	server *services.Postgres
	db     string
	made   int
}

// fresh makes a schema with a table of so many rows, and a name for its slot and publication. Without a snapshot the
// rows are changes in a slot that is there already. Some transactions are larger than a batch.
func (w *worlds) fresh(t *testing.T, rows int, more map[string]string) connectortest.SourceWorld {
	t.Helper()
	w.made++
	name := fmt.Sprintf("%s_%d", w.db, w.made)
	b := &bench{t: t, server: w.server, db: w.db}
	config := b.config(map[string]string{"database.user": "reader", "database.password": "right", "max.batch.size": "7",
		"schema.include.list": name, "slot.name": name, "publication.name": name, "publication.autocreate.mode": "filtered"})
	maps.Copy(config, more)
	w.exec(t, fmt.Sprintf("CREATE SCHEMA %s; CREATE TABLE %[1]s.items (id bigserial PRIMARY KEY, name text)", name))
	if more["snapshot.mode"] == "no_data" {
		w.exec(t, fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %[1]s.items", name))
		w.exec(t, fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", name))
	}
	t.Cleanup(func() { w.dropSlot(t, name) })
	grow := func(n int) {
		t.Helper()
		var sql string
		for size := 1; n > 0; size = size*2%31 + 1 {
			size = min(size, n)
			sql += fmt.Sprintf("BEGIN; INSERT INTO %s.items (name) SELECT 'item ' || i FROM generate_series(1, %d) i; COMMIT;", name, size)
			n -= size
		}
		w.exec(t, sql)
	}
	if rows > 0 {
		grow(rows)
	}
	return connectortest.SourceWorld{Config: config, Grow: grow}
}

func (w *worlds) exec(t *testing.T, sql string) {
	t.Helper()
	w.server.Exec(t, w.db, sql)
}

// dropSlot drops the slot, which a task that has just been stopped may still hold for a moment.
func (w *worlds) dropSlot(t *testing.T, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.server.DSN(w.db))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	for left := 1; left > 0; {
		_, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND slot_name = $1", name)
		if err == nil {
			err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", name).Scan(&left)
		}
		if err != nil {
			t.Errorf("drop slot %s: %v", name, err)
			return
		}
	}
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

func (w *worlds) broken(t *testing.T) []connectortest.Broken {
	t.Helper()
	config := w.fresh(t, 0, nil).Config
	with := func(key, value string) map[string]string {
		c := maps.Clone(config)
		c[key] = value
		return c
	}
	return []connectortest.Broken{
		{Name: "wrong password", Config: with("database.password", "wrong"), Class: connectors.ClassEnvironment},
		{Name: "wrong port", Config: with("database.port", strconv.Itoa(deadPort(t))), Class: connectors.ClassEnvironment},
		{Name: "no such database", Config: with("database.dbname", "missing"), Class: connectors.ClassEnvironment},
		{Name: "no such mode", Config: with("snapshot.mode", "sometimes"), Class: connectors.ClassConfig},
	}
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
