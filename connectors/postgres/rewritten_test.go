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
// its rows would be missing. Or it drops one, which the next attempt does not find. The sessions of the task have no limits
// and ways of the database's.
func TestRewrittenBeforeTheLock(t *testing.T) {
	server := services.UsePostgres(t)
	db := server.NewDatabase(t)
	server.Exec(t, db, "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 1); CREATE TABLE b (id int) PARTITION BY LIST (id); CREATE TABLE b1 PARTITION OF b DEFAULT; CREATE TABLE c (id int)")
	for _, setting := range []string{"idle_session_timeout = '1h'", "standard_conforming_strings = off", "default_transaction_isolation = serializable"} {
		server.Exec(t, db, "ALTER DATABASE "+db+" SET "+setting)
	}
	config := map[string]string{"database.hostname": server.Host, "database.port": strconv.Itoa(server.Port), "database.user": server.User,
		"database.password": server.Password, "database.dbname": db, "topic.prefix": "p", "slot.name": db}
	for _, c := range []struct{ sql, wrong, root string }{
		{"DROP TABLE c", `"public.c" does not exist`, "false"},
		{"ALTER TABLE a ALTER n TYPE bigint", "a was rewritten", "false"}, {"TRUNCATE b1", "b1 was rewritten", "true"}, {"ALTER TABLE a ADD COLUMN m int", "", "false"},
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
		var limit, isolation string
		err = tk.control.QueryRow(ctx, "SELECT current_setting('idle_session_timeout'), current_setting('transaction_isolation')").Scan(&limit, &isolation)
		if err != nil || limit != "0" || isolation != "read committed" {
			t.Errorf("idle_session_timeout is %s, transactions are %s, %v", limit, isolation, err)
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
		if (err != nil) != (c.wrong != "") || err != nil && (!strings.Contains(err.Error(), c.wrong) || connectors.ClassOf(err) != connectors.ClassEnvironment) {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
}
