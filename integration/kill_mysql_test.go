package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// The kill twins of the MySQL and MariaDB sources: a load that also changes the table's definition, while the source's
// process, the hub and the server are killed in turn. The log of the server does not describe itself (row metadata is
// MINIMAL): under which column a value is written depends on what the source has kept of the statements before it.
//
// Afterwards the topic has every change of every row in the order of commits, each with the columns that the table had
// at that moment; the last of each row is what the table holds, and mysqlbinlog has counted as many.

func TestKillMySQL(t *testing.T) {
	t.Parallel()
	m, err := services.StartMySQL(t.Context(), services.MySQLOptions{Durable: true, Args: []string{"--binlog-row-metadata=MINIMAL"}})
	must(t, err)
	closeLater(t, m)
	p := newMySQLPipeline(t, m, 100)
	p.begin(nil)
	p.torture()
	p.checkBinlog()
}

func TestKillMariaDB(t *testing.T) {
	t.Parallel()
	m, err := services.StartMariaDB(t.Context(), services.MySQLOptions{Durable: true, Args: []string{"--binlog-row-metadata=MINIMAL"}})
	must(t, err)
	closeLater(t, m)
	p := newMySQLPipeline(t, m, 100)
	p.begin(nil)
	p.torture()
}

// mysqlPipeline is MySQL → sluice, with a load.
type mysqlPipeline struct {
	pipeline
	server *services.MySQL
	load   *mysqlLoad
}

// newMySQLPipeline makes a table with so many rows; the hub does not run yet.
func newMySQLPipeline(t *testing.T, m *services.MySQL, rows int) *mysqlPipeline {
	t.Helper()
	p := &mysqlPipeline{pipeline: pipeline{t: t, seed: killSeed(t), pause: 15 * time.Millisecond}, server: m}
	p.rnd = rand.New(rand.NewPCG(p.seed, 1<<32))
	p.db = m.NewDatabase(t)
	p.topic = p.db + "." + p.db + ".items"
	p.load = newMySQLLoad(t, m, p.db, rows)
	p.worker = newWorker(t, worker.Options{Settings: map[string]string{
		"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "true", "offset.flush.interval.ms": "300"}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.statuses(context.Background()))
		}
	})
	return p
}

// begin starts the hub and the connector, with more laid over its configuration, and to read the topic.
func (p *mysqlPipeline) begin(more map[string]string) {
	p.t.Helper()
	ctx, m := p.deadline(), p.server
	must(p.t, p.worker.Start(ctx))
	class := "io.debezium.connector.mysql.MySqlConnector"
	if m.MariaDB {
		class = "io.debezium.connector.mariadb.MariaDbConnector"
	}
	source := map[string]string{
		"connector.class": class, "database.hostname": m.Host, "database.port": strconv.Itoa(m.Port), "database.user": m.User,
		"database.password": m.Password, "table.include.list": p.db + ".items", "topic.prefix": p.db, "decimal.handling.mode": "string",
		"topic.creation.default.partitions": strconv.Itoa(killPartitions), "topic.creation.default.replication.factor": "1",
	}
	maps.Copy(source, more)
	must(p.t, p.worker.Put(ctx, "items-source", source))
	var err error
	p.topics, err = newTopicReader(p.worker.Kafka, p.topic, (*event).ofMySQL)
	must(p.t, err)
	p.t.Cleanup(p.topics.client.Close)
}

// torture kills the source's process, the hub and the server in turn, and then compares everything.
func (p *mysqlPipeline) torture() {
	p.t.Helper()
	plugin := "mysql"
	if p.server.MariaDB {
		plugin = "mariadb"
	}
	victims := []struct {
		name string
		victim
	}{
		{"source", p.child(plugin)},
		{"hub", victim{func(context.Context) error { return p.worker.Kill() }, p.worker.Start}},
		{"server", server(p.server.Server)},
	}
	rounds, first := killRounds(p.t), p.rnd.IntN(len(victims))
	must(p.t, p.topics.until(p.deadline(), "the snapshot", func() bool { return p.topics.total >= len(p.load.rows) }))
	p.load.start(p.seed, p.pause, true)
	for round := range rounds {
		v := victims[(first+round)%len(victims)]
		ctx := p.deadline()
		p.busy(time.Duration(500+p.rnd.IntN(1500)) * time.Millisecond)
		must(p.t, v.kill(ctx))
		p.busy(time.Duration(p.rnd.IntN(800)) * time.Millisecond)
		restart := time.Now()
		must(p.t, v.start(ctx))
		there := time.Now()
		stopNudging := p.nudging()
		must(p.t, p.topics.beyond(ctx, p.load.newest()))
		stopNudging()
		p.t.Logf("round %d: %s restarted in %.1f s, recovered in %.1f s", round, v.name, there.Sub(restart).Seconds(), time.Since(there).Seconds())
	}
	p.settle(rounds)
}

// arrive ends the load and waits until everything has arrived: the last of each row in the log is what the table holds.
func (p *mysqlPipeline) arrive() {
	p.t.Helper()
	table := p.load.end()
	must(p.t, p.topics.until(p.deadline(), "the last transaction", func() bool {
		for id, row := range table {
			if p.topics.last[id].version != row.version {
				return false
			}
		}
		return true
	}))
	for id, e := range p.topics.last {
		if row, exists := table[id]; exists && e.change != row || !exists && e.op != "" {
			p.t.Errorf("row %d ends in the log with %+v, in the table with %+v", id, e.change, row)
		}
	}
}

// settle ends the load, waits until everything has arrived and compares it.
func (p *mysqlPipeline) settle(kills int) {
	p.t.Helper()
	p.arrive()
	once, records, runs := map[int32][]event{}, 0, 0
	for partition, events := range p.topics.events {
		unique, r, err := unrepeat(events)
		if err == nil {
			err = checkOrder(unique)
		}
		if err != nil {
			p.t.Fatalf("partition %d of the log: %v", partition, err)
		}
		// A kill of the server ends the task, and what the hub tries meanwhile may get through to a server that is dying.
		if r.runs > 2*kills {
			p.t.Errorf("partition %d of the log: the source went back %d times in %d kills", partition, r.runs, kills)
		}
		once[partition], records, runs = unique, records+r.records, runs+r.runs
	}
	if err := checkHistory(once, p.load.history); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%d changes committed (%d commits unanswered), %d definitions of the table; %d records in the log, of them %d repeats in %d runs",
		p.load.committed.Load(), p.load.resolved.Load(), p.load.definitions, p.topics.total, records, runs)
}

// checkBinlog lets the server's own tool count the rows in its log.
func (p *mysqlPipeline) checkBinlog() {
	p.t.Helper()
	program, err := services.MySQLProgram(p.t.Context(), "mysqlbinlog")
	must(p.t, err)
	files, err := filepath.Glob(filepath.Join(p.server.Dir(), "data", "binlog.0*"))
	must(p.t, err)
	out, err := exec.CommandContext(p.t.Context(), program[0], append(program[1:], append([]string{"--verbose", "--base64-output=DECODE-ROWS", "--database=" + p.db}, files...)...)...).Output()
	must(p.t, err)
	rows := 0
	for _, verb := range []string{"INSERT INTO", "UPDATE", "DELETE FROM"} {
		rows += bytes.Count(out, fmt.Appendf(nil, "### %s `%s`.`items`\n", verb, p.db))
	}
	want := 0
	for _, changes := range p.load.history {
		want += len(changes)
	}
	if want -= p.load.moves; rows != want {
		p.t.Errorf("mysqlbinlog counts %d rows, %d were committed", rows, want)
	}
	p.t.Logf("mysqlbinlog counts %d rows in %d files", rows, len(files))
}

// ofMySQL reads an envelope of the MySQL or MariaDB source. The note is all columns but id and version.
func (e *event) ofMySQL(value []byte) error {
	payload, err := payloadOf(value)
	if err != nil {
		return err
	}
	var v struct {
		Op     string
		After  map[string]any
		Source struct {
			File, GTID string
			Pos        int64
		}
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	e.payload, e.op = payload, v.Op
	file, err := strconv.ParseInt(v.Source.File[strings.LastIndexByte(v.Source.File, '.')+1:], 10, 64)
	if err != nil {
		return err
	}
	e.lsn = file<<40 | v.Source.Pos
	if e.op != "r" {
		// UUID:N of MySQL, DOMAIN-SERVER-N of MariaDB: one server counts its commits.
		gtid := v.Source.GTID
		if e.tx, err = strconv.ParseInt(gtid[strings.LastIndexAny(gtid, ":-")+1:], 10, 64); err != nil {
			return err
		}
		e.commit = uint64(e.tx)
	}
	if v.After == nil {
		return nil
	}
	if id := fmt.Sprint(v.After["id"]); id != strconv.FormatInt(e.id, 10) {
		return fmt.Errorf("the key is %d", e.id)
	}
	if e.version, err = strconv.ParseInt(fmt.Sprint(v.After["version"]), 10, 64); err != nil {
		return err
	}
	values := map[string]string{}
	for name, value := range v.After {
		values[name] = "NULL"
		if value != nil {
			values[name] = fmt.Sprint(value)
		}
	}
	e.note = columnsNote(values)
	return nil
}

// columnsNote prints the columns of a row but id and version, by name.
func columnsNote(values map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name != "id" && name != "version" {
			fmt.Fprintf(&b, "%s=%s ", name, values[name])
		}
	}
	return b.String()
}
