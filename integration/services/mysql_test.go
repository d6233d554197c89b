package services

import (
	"context"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
)

func TestMySQLKeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	keepsRows(t, StartMySQL, "SELECT concat(@@gtid_mode, ' ', @@binlog_format, ' ', @@binlog_row_metadata)", "ON ROW FULL")
}

func TestMariaDBKeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	keepsRows(t, StartMariaDB, "SELECT concat(@@global.log_bin + 0, ' ', @@binlog_format, ' ', @@binlog_row_metadata)", "1 ROW FULL")
}

func keepsRows(t *testing.T, start func(context.Context, MySQLOptions) (*MySQL, error), settings, want string) {
	m := use(t, func(ctx context.Context) (*MySQL, error) {
		return start(ctx, MySQLOptions{Durable: true, Args: []string{"--binlog-row-metadata=FULL"}})
	})
	db := m.NewDatabase(t)
	text := func(sql string) string {
		t.Helper()
		s, err := m.Exec(t, db, sql).GetString(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := text(settings); got != want {
		t.Errorf("settings are %s, want %s", got, want)
	}
	m.Exec(t, db, "CREATE TABLE orders (id int PRIMARY KEY)")
	m.Exec(t, db, "INSERT INTO orders VALUES (1), (2), (3)")
	killed := tree(m.PID())
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, process := range killed {
		if process.alive() {
			t.Errorf("process %d of %d outlives the kill", process.pid, len(killed))
		}
	}
	if c, err := client.Connect(m.addr(), m.User, m.Password, ""); err == nil {
		c.Close()
		t.Error("the killed server answers")
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := text("SELECT count(*) FROM orders"); got != "3" {
		t.Errorf("%s rows after the restart, want 3", got)
	}
}
