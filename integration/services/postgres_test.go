package services

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestPostgresKeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := use(t, func(ctx context.Context) (*Postgres, error) {
		return StartPostgres(ctx, PostgresOptions{Fsync: true, Settings: map[string]string{"work_mem": "7MB"}})
	})
	db := p.NewDatabase(t)
	query := func(sql string) string {
		t.Helper()
		conn, err := pgx.Connect(ctx, p.DSN(db))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		var answer string
		if err := conn.QueryRow(ctx, sql).Scan(&answer); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return answer
	}
	for setting, want := range map[string]string{"wal_level": "logical", "fsync": "on", "work_mem": "7MB"} {
		if got := query("SHOW " + setting); got != want {
			t.Errorf("%s = %s, want %s", setting, got, want)
		}
	}
	p.Exec(t, db, "CREATE TABLE orders (id int PRIMARY KEY)")
	p.Exec(t, db, "INSERT INTO orders SELECT generate_series(1, 1000)")
	// For the clean-up of the database to drop.
	p.Exec(t, db, "SELECT pg_create_logical_replication_slot('"+db+"', 'pgoutput')")
	killed := tree(p.PID())
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, process := range killed {
		if process.alive() {
			t.Errorf("process %d of %d outlives the kill", process.pid, len(killed))
		}
	}
	if err := p.answers(ctx); err == nil {
		t.Error("the killed server answers")
	}
	port := p.Port
	if err := p.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Port != port {
		t.Errorf("port %d after the restart, was %d", p.Port, port)
	}
	if got := query("SELECT count(*)::text FROM orders"); got != "1000" {
		t.Errorf("%s rows after the restart, want 1000", got)
	}
	// And through an orderly stop.
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got := query("SELECT sum(id)::text FROM orders"); got != "500500" {
		t.Errorf("sum %s after the second restart, want 500500", got)
	}
}

func TestPostgresDropsTheTestsDatabase(t *testing.T) {
	t.Parallel()
	p := UsePostgres(t)
	var name string
	t.Run("inner", func(t *testing.T) {
		name = p.NewDatabase(t)
		conn, err := pgx.Connect(t.Context(), p.DSN(name)+"?replication=database")
		if err != nil {
			t.Fatal(err)
		}
		// Left open, with a slot: the database must go all the same.
		_, err = conn.Exec(t.Context(), "SELECT pg_create_logical_replication_slot('"+name+"', 'pgoutput')")
		if err != nil {
			t.Fatal(err)
		}
	})
	conn, err := pgx.Connect(t.Context(), p.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var left int
	err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_database WHERE datname = $1) +
		(SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1)`, name).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d left of database %s and its slot, error %v", left, name, err)
	}
}
