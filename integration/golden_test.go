package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const goldenPostgres = "../connectors/postgres/testdata/golden"

// goldenLanes is how many cases run at a time. The cases name their database, slot and topics, so each lane has a server,
// and each case a worker, of its own.
const goldenLanes = 3

// What Debezium on Kafka Connect wrote and answered, sluice writes and answers: every recorded case, through the real
// program. What may differ is in connectors/postgres/DEVIATIONS.md.
func TestGoldenPostgres(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob(goldenPostgres + "/*/connector.json")
	must(t, err)
	if len(cases) < 22 {
		t.Fatalf("%d cases", len(cases))
	}
	excused, err := goldentest.ReadExceptions(read(t, "../connectors/postgres/DEVIATIONS.md"), "- except golden")
	must(t, err)
	var replayed atomic.Int32
	t.Cleanup(func() {
		if unused := excused.Unused(); int(replayed.Load()) == len(cases) && len(unused) > 0 {
			t.Errorf("DEVIATIONS.md excuses what no longer differs: %s", unused)
		}
	})
	var servers []*services.Postgres
	for range goldenLanes {
		server, err := services.StartPostgres(t.Context(), services.PostgresOptions{})
		must(t, err)
		closeLater(t, server)
		server.Exec(t, "postgres", "CREATE ROLE dbz LOGIN SUPERUSER PASSWORD 'dbz'")
		servers = append(servers, server)
	}
	inLanes(t, servers, cases, func(t *testing.T, server *services.Postgres, dir string) {
		replay(t, server, dir, excused)
		replayed.Add(1)
	})
}

// inLanes runs a subtest for each case, with one of the servers that has no other case meanwhile.
func inLanes[S any](t *testing.T, servers []S, cases []string, replay func(t *testing.T, server S, dir string)) {
	next := make(chan string, len(cases))
	for _, path := range cases {
		next <- filepath.Dir(path)
	}
	close(next)
	for i, server := range servers {
		t.Run(fmt.Sprintf("lane%d", i), func(t *testing.T) {
			t.Parallel()
			for dir := range next {
				t.Run(filepath.Base(dir), func(t *testing.T) { replay(t, server, dir) })
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

// story is a case being replayed.
type story struct {
	t    *testing.T
	ctx  context.Context
	dir  string
	w    *worker.Worker
	db   *pgx.Conn
	name string
	body struct {
		Name   string            `json:"name"`
		Config map[string]string `json:"config"`
	}
}

func replay(t *testing.T, server *services.Postgres, dir string, excused *goldentest.Exceptions) {
	s := &story{t: t, ctx: deadline(t), dir: dir, w: startWorker(t, worker.Options{})}
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(s.file("connector.json"), "${PG_PORT}", strconv.Itoa(server.Port))), &s.body))
	s.name = s.body.Name
	// How soon the slot shows what has arrived. It is in no record.
	s.body.Config["status.update.interval.ms"] = "50"
	database := s.body.Config["database.dbname"]
	server.Exec(t, "postgres", "CREATE DATABASE "+database)
	defer server.Exec(t, "postgres", "DROP DATABASE "+database+" WITH (FORCE)")
	var err error
	s.db, err = pgx.Connect(s.ctx, server.DSN(database))
	must(t, err)
	defer s.db.Close(context.Background())

	s.run(s.file("setup.sql"))
	status, answer, err := s.w.Do(s.ctx, http.MethodPost, "/connectors", s.body)
	must(t, err)
	if status != http.StatusCreated {
		t.Fatalf("POST /connectors: %d %s", status, answer)
	}
	// A slot is active while it is made, too: before the snapshot.
	s.await("to stream", "active_pid IN (SELECT pid FROM pg_stat_replication WHERE state = 'streaming')")
	for _, block := range strings.Split(s.file("changes.sql"), "-- @settle\n") {
		s.run(block)
		s.settle()
		s.snapshotEnded()
		s.settle() // what closed its last window follows its last row
	}
	s.heartbeat()
	must(t, s.w.Running(s.ctx, s.name))

	documents := map[string][]byte{"status.json": s.get("/connectors/" + s.name + "/status")}
	s.stop()
	documents["status-stopped.json"] = s.get("/connectors/" + s.name + "/status")
	documents["offsets.json"] = s.withoutServer(s.get("/connectors/" + s.name + "/offsets"))
	got, described := s.topics()
	got["connect-offsets"] = slices.DeleteFunc(got["connect-offsets"], namesServer)
	if _, err := os.Stat(filepath.Join(dir, "state/topics.json")); err == nil {
		documents["topics.json"] = described
	}
	must(t, s.w.Stop())
	_, err = s.db.Exec(s.ctx, "SELECT pg_drop_replication_slot($1)", s.body.Config["slot.name"])
	must(t, err)
	s.judge(got, documents, excused)
}

// snapshotEnded waits until no incremental snapshot is going on.
func (s *story) snapshotEnded() {
	s.t.Helper()
	must(s.t, eventually(s.ctx, "the end of an incremental snapshot", func() error {
		if offsets := s.get("/connectors/" + s.name + "/offsets"); bytes.Contains(offsets, []byte("incremental_snapshot")) {
			return fmt.Errorf("the offsets are %s", offsets)
		}
		return nil
	}))
}

// namesServer finds the source partition that says which server the offsets are of, which DEVIATIONS.md argues.
func namesServer(line []byte) bool { return bytes.Contains(line, []byte(`"of":"server"`)) }

// withoutServer leaves that partition out of an answer about offsets, in which it must be.
func (s *story) withoutServer(answer []byte) []byte {
	s.t.Helper()
	type offset struct {
		Partition json.RawMessage `json:"partition"`
		Offset    json.RawMessage `json:"offset"`
	}
	var doc struct {
		Offsets []offset `json:"offsets"`
	}
	must(s.t, json.Unmarshal(answer, &doc))
	all := len(doc.Offsets)
	doc.Offsets = slices.DeleteFunc(doc.Offsets, func(o offset) bool { return namesServer(o.Partition) })
	if len(doc.Offsets) != all-1 {
		s.t.Errorf("the offsets do not say of which server they are: %s", answer)
	}
	out, err := json.Marshal(doc)
	must(s.t, err)
	return out
}

func (s *story) file(name string) string { return read(s.t, filepath.Join(s.dir, name)) }

// run runs a script statement by statement, so that each is a transaction of its own.
func (s *story) run(script string) {
	s.t.Helper()
	var statement strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		statement.WriteString(line)
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			if _, err := s.db.PgConn().Exec(s.ctx, statement.String()).ReadAll(); err != nil {
				s.t.Fatalf("%s: %v", statement.String(), err)
			}
			statement.Reset()
		}
	}
}

// await waits for a condition on the row of the connector's slot.
func (s *story) await(what, condition string) {
	s.t.Helper()
	must(s.t, s.w.Wait(s.ctx, s.name+" "+what, func() error {
		if st, err := s.w.Status(s.ctx, s.name); err != nil || strings.Contains(fmt.Sprint(st), "FAILED") {
			return fmt.Errorf("%+v %w", st, err)
		}
		var holds bool
		err := s.db.QueryRow(s.ctx, "SELECT coalesce(bool_or("+condition+"), false) FROM pg_replication_slots WHERE slot_name = $1",
			s.body.Config["slot.name"]).Scan(&holds)
		if err == nil && !holds {
			err = fmt.Errorf("not yet: %s", condition)
		}
		return err
	}))
}

// settle waits until all changes so far are in the log: only then does the slot move past them.
func (s *story) settle() {
	s.t.Helper()
	var lsn string
	must(s.t, s.db.QueryRow(s.ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn))
	_, err := s.db.Exec(s.ctx, "CHECKPOINT") // something to come after it, whether or not anything was written since
	must(s.t, err)
	s.await("to reach "+lsn, "confirmed_flush_lsn >= '"+lsn+"'")
}

// heartbeat waits for one more record of the topic, if there is one.
func (s *story) heartbeat() {
	s.t.Helper()
	topic := "__debezium-heartbeat." + s.name
	if _, err := os.Stat(filepath.Join(s.dir, "expected", topic+".jsonl")); err != nil {
		return
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.w.Kafka))
	must(s.t, err)
	defer client.Close()
	end := func() int64 {
		ends, err := kadm.NewClient(client).ListEndOffsets(s.ctx, topic)
		must(s.t, err)
		o, _ := ends.Lookup(topic, 0)
		return o.Offset
	}
	before := end()
	must(s.t, s.w.Wait(s.ctx, "a heartbeat", func() error {
		if now := end(); now <= before {
			return fmt.Errorf("%d records", now)
		}
		return nil
	}))
}

func (s *story) get(path string) []byte {
	s.t.Helper()
	status, body, err := s.w.Do(s.ctx, http.MethodGet, path, nil)
	must(s.t, err)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

func (s *story) stop() {
	s.t.Helper()
	status, body, err := s.w.Do(s.ctx, http.MethodPut, "/connectors/"+s.name+"/stop", nil)
	must(s.t, err)
	if status != http.StatusNoContent {
		s.t.Fatalf("PUT stop: %d %s", status, body)
	}
	must(s.t, s.w.Wait(s.ctx, "the connector to stop", func() error {
		st, err := s.w.Status(s.ctx, s.name)
		if err == nil && (st.Connector.State != "STOPPED" || len(st.Tasks) > 0) {
			err = fmt.Errorf("%+v", st)
		}
		return err
	}))
}

// topics reads everything in the log but what is a worker's own, and describes it as topics.json does.
func (s *story) topics() (goldentest.Topics, []byte) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.w.Kafka))
	must(s.t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	all, err := admin.ListTopics(s.ctx)
	must(s.t, err)
	for _, own := range []string{"connect-configs", "connect-status", "_schemas"} {
		delete(all, own)
	}
	names := all.Names()
	configs, err := admin.DescribeTopicConfigs(s.ctx, names...)
	must(s.t, err)
	type description struct {
		Partitions int               `json:"partitions"`
		Configs    map[string]string `json:"configs"`
	}
	described := map[string]description{}
	for _, c := range configs {
		if c.Name == "connect-offsets" {
			continue
		}
		d := description{len(all[c.Name].Partitions), map[string]string{}}
		for _, kv := range c.Configs {
			if kv.Source == kmsg.ConfigSourceDynamicTopicConfig {
				d.Configs[kv.Key] = kv.MaybeValue()
			}
		}
		described[c.Name] = d
	}
	text, err := json.Marshal(described)
	must(s.t, err)
	return s.records(admin, names, all), text
}

// records reads topics up to their ends.
func (s *story) records(admin *kadm.Client, names []string, details kadm.TopicDetails) goldentest.Topics {
	s.t.Helper()
	ends, err := admin.ListEndOffsets(s.ctx, names...)
	must(s.t, err)
	must(s.t, ends.Error())
	got := goldentest.Topics{}
	for _, topic := range names {
		partitions := len(details[topic].Partitions)
		for p := range int32(partitions) {
			end, _ := ends.Lookup(topic, p)
			for _, r := range s.partition(topic, p, end.Offset) {
				line := s.line(r)
				if partitions > 1 && topic != "connect-offsets" {
					line = fmt.Sprintf(`{"partition":%d,`, p) + line[1:]
				}
				got[topic] = append(got[topic], []byte(line))
			}
		}
	}
	return got
}

// partition reads one partition up to an offset.
func (s *story) partition(topic string, p int32, end int64) []*kgo.Record {
	s.t.Helper()
	if end == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.w.Kafka), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {p: kgo.NewOffset().AtStart()}}))
	must(s.t, err)
	defer client.Close()
	var all []*kgo.Record
	for {
		fetches := client.PollFetches(s.ctx)
		must(s.t, fetches.Err())
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			all = append(all, r)
			if r.Offset+1 >= end {
				return all
			}
		}
	}
}

// line writes a record as the recordings do. Key and value are JSON as they are.
func (s *story) line(r *kgo.Record) string {
	text := func(b []byte) string {
		switch {
		case b == nil:
			return "null"
		case !json.Valid(b):
			s.t.Errorf("%s[%d]@%d: not JSON: %q", r.Topic, r.Partition, r.Offset, b)
			return "null"
		}
		return string(b)
	}
	var headers []string
	for _, h := range r.Headers {
		key, _ := json.Marshal(h.Key)
		value, _ := json.Marshal(string(h.Value))
		headers = append(headers, fmt.Sprintf(`{"key":%s,"value":%s}`, key, value))
	}
	return fmt.Sprintf(`{"key":%s,"value":%s,"headers":[%s]}`, text(r.Key), text(r.Value), strings.Join(headers, ","))
}

// judge compares what was got with what was recorded.
func (s *story) judge(got goldentest.Topics, documents map[string][]byte, excused *goldentest.Exceptions) {
	s.t.Helper()
	want := goldentest.Topics{}
	files, err := filepath.Glob(filepath.Join(s.dir, "expected/*.jsonl"))
	must(s.t, err)
	for _, f := range append(files, filepath.Join(s.dir, "state/connect-offsets.jsonl")) {
		for line := range strings.Lines(read(s.t, f)) {
			if strings.TrimSpace(line) != "" {
				topic := strings.TrimSuffix(filepath.Base(f), ".jsonl")
				want[topic] = append(want[topic], []byte(line))
			}
		}
	}
	result := goldentest.Compare(want, got)
	recorded, err := filepath.Glob(filepath.Join(s.dir, "state/*.json"))
	must(s.t, err)
	if len(recorded) != len(documents) {
		s.t.Errorf("the case has %d documents, compared are %v", len(recorded), slices.Sorted(maps.Keys(documents)))
	}
	for name, document := range documents {
		differences, err := goldentest.CompareDocument([]byte(s.file("state/"+name)), document)
		must(s.t, err)
		result.Total++
		if len(differences) == 0 {
			result.Equal++
		}
		for _, d := range differences {
			result.Differences = append(result.Differences, name+" "+d)
		}
	}
	for i, d := range excused.Unexcused(filepath.Base(s.dir), result.Differences) {
		if i == 40 {
			s.t.Error("and more")
			break
		}
		s.t.Error(d)
	}
	s.t.Logf("%d of %d records and documents equal", result.Equal, result.Total)
}
