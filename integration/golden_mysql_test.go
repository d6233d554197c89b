package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

const goldenMySQL = "../connectors/mysql/testdata/golden"

// What Debezium wrote and answered for MySQL, sluice writes and answers: every recorded case, through the
// real program. What may differ is in connectors/mysql/DEVIATIONS.md.
func TestGoldenMySQL(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob(goldenMySQL + "/*/connector.json")
	must(t, err)
	if len(cases) != 25 {
		t.Fatalf("%d cases", len(cases))
	}
	excused, err := goldentest.ReadExceptions(read(t, "../connectors/mysql/DEVIATIONS.md"), "- except golden")
	must(t, err)
	// Of their own: the metadata of transactions are of all transactions there.
	var servers []*services.MySQL
	for range goldenLanes {
		server, err := services.StartMySQL(deadline(t), services.MySQLOptions{})
		must(t, err)
		closeLater(t, server)
		server.Exec(t, "", "CREATE USER IF NOT EXISTS dbz@'%' IDENTIFIED BY 'dbz'")
		server.Exec(t, "", "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO dbz@'%'")
		server.Exec(t, "", "GRANT INSERT ON store.* TO dbz@'%'") // of watermarks
		servers = append(servers, server)
	}
	inLanes(t, servers, cases, func(t *testing.T, server *services.MySQL, dir string) { replayMySQL(t, server, dir, excused) })
}

// mysqlStory is a case being replayed.
type mysqlStory struct {
	story
	server *services.MySQL
	conn   *client.Conn
}

func replayMySQL(t *testing.T, server *services.MySQL, dir string, excused *goldentest.Exceptions) {
	s := &mysqlStory{story: story{t: t, ctx: deadline(t), dir: dir, w: startWorker(t, worker.Options{})}, server: server}
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(s.file("connector.json"), "${MYSQL_PORT}", strconv.Itoa(server.Port))), &s.body))
	s.name = s.body.Name
	s.body.Config["status.update.interval.ms"] = "50"
	server.Exec(t, "", "CREATE DATABASE store CHARACTER SET utf8mb4")
	defer server.Exec(t, "", "DROP DATABASE store")
	var err error
	s.conn, err = server.Connect(s.ctx, "store")
	must(t, err)
	defer s.conn.Close()

	s.script(s.file("setup.sql"))
	status, answer, err := s.w.Do(s.ctx, http.MethodPost, "/connectors", s.body)
	must(t, err)
	if status != http.StatusCreated {
		t.Fatalf("POST /connectors: %d %s", status, answer)
	}
	s.settleMySQL()
	for _, block := range strings.Split(s.file("changes.sql"), "-- @settle\n") {
		s.script(block)
		s.settleMySQL()
		s.snapshotEnded()
		s.settleMySQL() // what closed its last window follows its last row
	}
	s.heartbeat()
	must(t, s.w.Running(s.ctx, s.name))

	documents := map[string][]byte{"status.json": s.get("/connectors/" + s.name + "/status")}
	s.stop()
	documents["status-stopped.json"] = s.get("/connectors/" + s.name + "/status")
	documents["offsets.json"] = withoutTables(t, s.get("/connectors/"+s.name+"/offsets"))
	got, described := s.topics()
	if _, err := os.Stat(filepath.Join(dir, "state/topics.json")); err == nil {
		documents["topics.json"] = described
	}
	must(t, s.w.Stop())
	// The definitions of tables are source partitions of their own.
	got["connect-offsets"] = slices.DeleteFunc(got["connect-offsets"], func(line []byte) bool { return strings.Contains(string(line), `"table":"store.`) })
	s.judge(got, documents, excused)
}

// withoutTables leaves the definitions of tables out of an answer about offsets.
func withoutTables(t *testing.T, answer []byte) []byte {
	t.Helper()
	var doc struct {
		Offsets []struct {
			Partition json.RawMessage `json:"partition"`
			Offset    json.RawMessage `json:"offset"`
		} `json:"offsets"`
	}
	must(t, json.Unmarshal(answer, &doc))
	all := len(doc.Offsets)
	kept := doc.Offsets[:0]
	for _, o := range doc.Offsets {
		if !strings.Contains(string(o.Partition), `"table"`) {
			kept = append(kept, o)
		}
	}
	if doc.Offsets = kept; all == len(kept) {
		t.Errorf("no definition of a table is stored: %s", answer)
	}
	out, err := json.Marshal(doc)
	must(t, err)
	return out
}

func (s *mysqlStory) script(text string) {
	s.t.Helper()
	var statement strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") || strings.TrimSpace(line) == "" {
			continue
		}
		statement.WriteString(line)
		if sql, ok := strings.CutSuffix(strings.TrimSpace(statement.String()), ";"); ok {
			if _, err := s.conn.Execute(sql); err != nil {
				s.t.Fatalf("%s: %v", sql, err)
			}
			statement.Reset()
		}
	}
}

// settleMySQL waits until all changes so far are in the log, which the stored offset says.
func (s *mysqlStory) settleMySQL() {
	s.t.Helper()
	r := s.server.Exec(s.t, "", "SHOW BINARY LOG STATUS")
	file, err := r.GetString(0, 0)
	must(s.t, err)
	file = strings.Clone(file)
	pos, err := r.GetInt(0, 1)
	must(s.t, err)
	must(s.t, s.w.Wait(s.ctx, s.name+" to reach the end of the log", func() error {
		if st, err := s.w.Status(s.ctx, s.name); err != nil || strings.Contains(fmt.Sprint(st), "FAILED") {
			return fmt.Errorf("%+v %w", st, err)
		}
		status, body, err := s.w.Do(s.ctx, http.MethodGet, "/connectors/"+s.name+"/offsets", nil)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %w", status, err)
		}
		var doc struct {
			Offsets []struct {
				Partition map[string]string
				Offset    struct {
					File     string
					Pos      int64
					Event    int
					Snapshot any
				}
			}
		}
		// Definitions of tables have other members, which are passed over.
		if err := json.Unmarshal(body, &doc); err != nil {
			return err
		}
		for _, o := range doc.Offsets {
			if o.Partition["table"] == "" && o.Offset.Snapshot == nil && o.Offset.Event == 0 && (o.Offset.File > file || o.Offset.File == file && o.Offset.Pos >= pos) {
				return nil
			}
		}
		return fmt.Errorf("not at %s:%d: %.300s", file, pos, body)
	}))
}
