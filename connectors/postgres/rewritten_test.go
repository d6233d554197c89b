package postgres

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// TestRewrittenBeforeTheLock rewrites a table between the point of the snapshot and the moment in which it is locked: all of
// its rows would be missing. The sessions of the task have no limits of the database's.
func TestRewrittenBeforeTheLock(t *testing.T) {
	server := services.UsePostgres(t)
	db := server.NewDatabase(t)
	server.Exec(t, db, "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 1); CREATE TABLE b (id int) PARTITION BY LIST (id); CREATE TABLE b1 PARTITION OF b DEFAULT")
	server.Exec(t, db, "ALTER DATABASE "+db+" SET idle_session_timeout = '1h'")
	config := map[string]string{"database.hostname": server.Host, "database.port": strconv.Itoa(server.Port), "database.user": server.User,
		"database.password": server.Password, "database.dbname": db, "topic.prefix": "p", "slot.name": db}
	for _, c := range []struct{ sql, table, root string }{
		{"ALTER TABLE a ALTER n TYPE bigint", "a", "false"}, {"TRUNCATE b1", "b1", "true"}, {"ALTER TABLE a ADD COLUMN m int", "", "false"},
	} {
		s, err := parse(config)
		if err != nil {
			t.Fatal(err)
		}
		tk := &task{s: s, log: slog.New(slog.DiscardHandler), viaRoot: c.root == "true"}
		ctx := context.Background()
		err = tk.connect(ctx, connectors.SourceStart{Connector: "c"})
		defer tk.Stop(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var limit string
		if err := tk.control.QueryRow(ctx, "SHOW idle_session_timeout").Scan(&limit); err != nil || limit != "0" {
			t.Errorf("idle_session_timeout is %s, %v", limit, err)
		}
		made, err := tk.temporarySlot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := tk.snapshotEntries(ctx)
		if err != nil {
			t.Fatal(err)
		}
		server.Exec(t, db, c.sql)
		_, err = tk.newSnapshot(ctx, made, entries, nil)
		if (err != nil) != (c.table != "") || err != nil && (!strings.Contains(err.Error(), c.table+" was rewritten") || connectors.ClassOf(err) != connectors.ClassEnvironment) {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
}
