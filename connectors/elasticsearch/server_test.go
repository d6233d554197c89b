package elasticsearch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// TestServer is all that needs a server. What measures time, memory or goroutines comes first and has nothing beside it.
func TestServer(t *testing.T) {
	server := services.UseElasticsearch(t)
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		conformance(t, server)
	})
	t.Run("a blocked index", func(t *testing.T) { blockedIndex(t, newWorld(t, server)) })
	t.Run("a hanging server", func(t *testing.T) { hangingServer(t, newWorld(t, server)) })
	t.Run("a server of its own", ownServer)
	for name, test := range map[string]func(*testing.T, *world){
		"insert, replace and delete":            insertReplaceDelete,
		"upsert and delete":                     upsertDelete,
		"ids without keys":                      ignoredKeys,
		"ids of the server":                     autoIDs,
		"older records change nothing":          olderRecords,
		"a version from a header":               versionHeader,
		"null values":                           nullValues,
		"keys that are no ids":                  badKeys,
		"malformed documents":                   malformedDocuments,
		"values that are no objects":            noObjects,
		"a document that breaks the request":    brokenRequest,
		"drop.invalid.message":                  dropInvalid,
		"a mapping for every type":              mappingOfEveryType,
		"a tombstone first":                     tombstoneFirst,
		"an index without a mapping":            emptyIndex,
		"maps as entries":                       mapsAsEntries,
		"an alias of the user's own":            externalResource,
		"compressed requests":                   compressed,
		"many versions of each document":        manyVersions,
		"many versions of each document upsert": manyUpserts,
		"a failing lane":                        failingItems,
		"order under retries":                   orderUnderRetries,
		"a request that got no answer":          lostAnswer,
		"a slow close":                          slowClose,
		"over TLS":                              overTLS,
		"through a proxy":                       throughProxy,
		"half a batch":                          halfBatch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, server))
		})
	}
}

func conformance(t *testing.T, server *services.Elasticsearch) {
	plugintest.Walls(t, New(), func(t *testing.T, c connectors.Connector) {
		connectortest.RunSink(t, c.(connectors.SinkConnector), connectortest.Sink{
			Fresh: func(t *testing.T) connectortest.SinkWorld {
				w := newWorld(t, server)
				index := w.topic("conformance")
				return connectortest.SinkWorld{
					Once: true,
					Config: w.config("external.resource.usage", "INDEX", "topic.to.external.resource.mapping", "conformance:"+w.create(index,
						`{"mappings":{"properties":{"p":{"type":"integer"},"n":{"type":"integer"}}}}`)),
					Record: func(part connectors.TopicPartition, i int) connectors.Record {
						return record(fmt.Sprintf("%d/%d", part.Partition, i), fmt.Sprintf(`{"p":%d,"n":%d}`, part.Partition, i))
					},
					Bad: func() connectors.Record { return record("bad", `{"p":0,"n":"no number"}`) },
					Delivered: func(t *testing.T, part connectors.TopicPartition) []int {
						var numbers []int
						for _, source := range w.docs(index) {
							var doc struct {
								P int32
								N int
							}
							if err := json.Unmarshal([]byte(source), &doc); err != nil {
								t.Fatal(err)
							}
							if doc.P == part.Partition {
								numbers = append(numbers, doc.N)
							}
						}
						return numbers
					},
				}
			},
			Broken: func(t *testing.T) []connectortest.Broken {
				return []connectortest.Broken{
					{Name: "no address", Config: map[string]string{}, Class: connectors.ClassConfig},
					{Name: "no scheme", Config: map[string]string{"connection.url": "localhost:9200"}, Class: connectors.ClassConfig},
					{Name: "nobody there", Config: map[string]string{"connection.url": "http://127.0.0.1:1"}, Class: connectors.ClassEnvironment},
					{Name: "no such host", Config: map[string]string{"connection.url": "http://nowhere.invalid"}, Class: connectors.ClassEnvironment},
				}
			},
		})
	})
}

// create makes an index and returns its name.
func (w *world) create(index, body string) string {
	w.t.Helper()
	w.do("PUT", "/"+index, body)
	return index
}

func insertReplaceDelete(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("behavior.on.null.values", "delete"), topic)
	r.put(topic, 0, record("1", `{"n":1}`), record("2", `{"n":2,"more":true}`), record("3", `{"n":3}`))
	r.put(topic, 3, record("2", `{"n":20}`), record("1", ""), record("never", ""))
	r.flushTo(topic, 6)
	w.expect(topic, "2", `{"n":20}`, "3", `{"n":3}`)
	r.put(topic, 6, record("1", "{\n\"n\" : 11\n}"))
	r.flushTo(topic, 7)
	w.expect(topic, "1", `{"n":11}`, "2", `{"n":20}`, "3", `{"n":3}`)
}

func upsertDelete(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("behavior.on.null.values", "delete", "write.method", "upsert"), topic)
	r.put(topic, 0, record("1", `{"a":1}`), record("2", `{"a":2}`), record("1", `{"b":10}`), record("2", ""), record("2", `{"b":20}`))
	r.put(topic, 5, record("3", `{"a":3}`), record("3", `{"a":30}`), record("3", `{"a":31}`), record("3", ""))
	r.flushTo(topic, 9)
	w.expect(topic, "1", `{"a":1,"b":10}`, "2", `{"b":20}`)
}

func ignoredKeys(t *testing.T, w *world) {
	topic, other := w.topic("orders"), w.topic("others")
	r := start(t, w.config("topic.key.ignore", topic, "behavior.on.null.values", "ignore"), topic, other)
	r.put(topic, 7, connectors.Record{Value: object(`{"n":7}`)}, record("same", `{"n":8}`), record("same", `{"n":9}`))
	r.put(other, 0, record("same", `{"n":0}`))
	r.flushTo(topic, 10)
	r.flushTo(other, 1)
	w.expect(topic, topic+"+0+7", `{"n":7}`, topic+"+0+8", `{"n":8}`, topic+"+0+9", `{"n":9}`)
	w.expect(other, "same", `{"n":0}`)
}

func autoIDs(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("use.autogenerated.ids", "true"), topic)
	r.put(topic, 0, record("same", `{"n":1}`), record("same", `{"n":2}`), connectors.Record{Value: object(`{"n":3}`)})
	r.flushTo(topic, 3)
	if docs := w.docs(topic); len(docs) != 3 || docs["same"] != "" {
		t.Errorf("documents %v", docs)
	}
}

func olderRecords(t *testing.T, w *world) {
	topic := w.topic("orders")
	config := w.config("behavior.on.null.values", "delete")
	all := func() []connectors.Record {
		return []connectors.Record{record("1", `{"n":0}`), record("2", `{"n":1}`), record("1", `{"n":2}`), record("2", ""), record("3", `{"n":4}`)}
	}
	r := start(t, config, topic)
	r.put(topic, 0, all()...)
	r.flushTo(topic, 5)
	w.expect(topic, "1", `{"n":2}`, "3", `{"n":4}`)
	again := start(t, config, topic)
	again.put(topic, 0, all()[:2]...)
	again.flushTo(topic, 2)
	w.expect(topic, "1", `{"n":2}`, "3", `{"n":4}`)
	again.put(topic, 2, all()[2:]...)
	again.flushTo(topic, 5)
	w.expect(topic, "1", `{"n":2}`, "3", `{"n":4}`)
	if _, times := again.reports(); times > 0 {
		t.Error("a record that the index has already was reported")
	}
}

func versionHeader(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("external.version.header", "v"), topic)
	with := func(key, value string, version connectors.Data) connectors.Record {
		rec := record(key, value)
		rec.Headers = []connectors.Header{{Key: "other", Value: text("1")}, {Key: "v", Value: version}}
		return rec
	}
	r.put(topic, 0, with("1", `{"n":1}`, text("100")), with("1", `{"n":2}`, object("99")), with("2", `{"n":3}`, text("secret")), record("3", `{"n":4}`))
	r.flushTo(topic, 4)
	w.expect(topic, "1", `{"n":1}`)
	reported, _ := r.reports()
	if len(reported) != 2 || strings.Contains(reported[2], "secret") || !strings.Contains(reported[3], "header v") {
		t.Errorf("reported %v", reported)
	}
}

func nullValues(t *testing.T, w *world) {
	optional := &connectors.Schema{Type: connectors.Struct, Optional: true, Fields: []connectors.Field{{Name: "n", Schema: connectors.Int32Schema}}}
	nulls := func() []connectors.Record {
		encoded := record("b", "")
		encoded.Value = connectors.Data{Schema: optional, Bytes: connectors.AppendNull(nil, optional)}
		return []connectors.Record{record("a", ""), encoded, record("c", "null"), {}, record("d", `{"n":5}`)}
	}
	for behavior, reports := range map[string]int{"FAIL": 4, "IGNORE": 0, "DELETE": 0} {
		topic := w.topic(strings.ToLower(behavior))
		r := start(t, w.config("behavior.on.null.values", behavior), topic)
		for i, id := range []string{"a", "b", "c"} {
			r.put(topic, int64(i), record(id, `{"n":1}`))
		}
		r.put(topic, 3, nulls()...)
		r.flushTo(topic, 8)
		if _, times := r.reports(); times != reports {
			t.Errorf("%s: %d reports, wanted %d", behavior, times, reports)
		}
		if behavior == "DELETE" {
			w.expect(topic, "d", `{"n":5}`)
		} else {
			w.expect(topic, "a", `{"n":1}`, "b", `{"n":1}`, "c", `{"n":1}`, "d", `{"n":5}`)
		}
	}
}

func badKeys(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config(), topic)
	bad := []connectors.Record{
		{Value: object("{}")}, record("", "{}"), record(strings.Repeat("x", 513), "{}"),
		{Key: object(`{"id":1}`), Value: object("{}")}, {Key: object(`1.5`), Value: object("{}")}, {Key: object(`true`), Value: object("{}")},
		{Key: connectors.Data{Schema: connectors.BooleanSchema, Bytes: []byte{1}}, Value: object("{}")},
	}
	good := []connectors.Record{
		record(strings.Repeat("x", 512), `{"n":0}`), {Key: object(`"a\"b"`), Value: object(`{"n":1}`)}, {Key: object(`-17`), Value: object(`{"n":2}`)},
		{Key: connectors.Data{Schema: connectors.Int64Schema, Bytes: connectors.AppendInt(nil, 1<<62)}, Value: object(`{"n":3}`)},
		record("ü/\n ☃ 😀", `{"n":4}`),
	}
	r.put(topic, 0, append(slices.Clone(bad), good...)...)
	r.flushTo(topic, int64(len(bad)+len(good)))
	if reported, _ := r.reports(); len(reported) != len(bad) {
		t.Errorf("reported %v", reported)
	}
	w.expect(topic, strings.Repeat("x", 512), `{"n":0}`, `a"b`, `{"n":1}`, "-17", `{"n":2}`, strconv.Itoa(1<<62), `{"n":3}`, "ü/\n ☃ 😀", `{"n":4}`)
}

func malformedDocuments(t *testing.T, w *world) {
	for _, behavior := range []string{"FAIL", "IGNORE", "WARN"} {
		for _, tolerated := range []bool{true, false} {
			topic := w.topic(strings.ToLower(behavior) + strconv.FormatBool(tolerated))
			w.create(topic, `{"mappings":{"dynamic":"strict","properties":{"n":{"type":"integer"}}}}`)
			r := start(t, w.config("behavior.on.malformed.documents", behavior), topic)
			if !tolerated {
				r.answer = func(err error) error { return err }
			}
			r.put(topic, 0, record("1", `{"n":1}`), record("2", `{"n":"two"}`), record("3", `{"unknown":3}`), record("4", `{"n":4}`))
			if behavior == "FAIL" && !tolerated {
				err := r.failure()
				if connectors.ClassOf(err) != connectors.ClassData || !strings.Contains(err.Error(), topic+"-0@") {
					t.Errorf("the task failed with %v", err)
				}
				positions, err := r.task.Flush(t.Context(), false)
				if err == nil {
					t.Errorf("a failed task answers positions: %v", positions)
				}
				continue
			}
			r.flushTo(topic, 4)
			w.expect(topic, "1", `{"n":1}`, "4", `{"n":4}`)
			reported, times := r.reports()
			if times != 2 || !strings.Contains(reported[1], "parsing_exception") || !strings.Contains(reported[2], "strict_dynamic_mapping_exception") {
				t.Errorf("%s: %d reports %v", behavior, times, reported)
			}
			if warned := strings.Contains(r.logs.String(), topic+"-0@1"); warned != (behavior == "WARN" && !tolerated) {
				t.Errorf("%s, tolerated %v: the log is %q", behavior, tolerated, r.logs)
			}
		}
	}
}

// failure waits until the task has failed for good, and returns why.
func (r *run) failure() error {
	r.t.Helper()
	eventually(r.t, "the task fails", func() bool {
		select {
		case <-r.task.failed:
			return true
		default:
			return false
		}
	})
	return r.tryPut(&connectors.Records{})
}

func noObjects(t *testing.T, w *world) {
	for _, method := range []string{"insert", "upsert"} {
		topic := w.topic(method)
		r := start(t, w.config("write.method", method), topic)
		value := record("5", "")
		value.Value = text("text")
		r.put(topic, 0, record("1", `[1]`), record("2", `"x"`), record("3", `17`), record("4", ` {"n":4}`), value)
		r.flushTo(topic, 5)
		w.expect(topic, "4", `{"n":4}`)
		if reported, _ := r.reports(); len(reported) != 4 || !strings.Contains(reported[2], "HoistField") {
			t.Errorf("reported %v", reported)
		}
	}
}

// brokenRequest: documents of updates are parsed before the request is taken, and one bad one spoils it for all.
func brokenRequest(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("write.method", "upsert", "max.in.flight.requests", "1", "linger.ms", "60000"), topic)
	var records []connectors.Record
	for i := range 100 {
		records = append(records, record(strconv.Itoa(i%50), numbered(i)))
	}
	records[33] = record("33", `{"n":1,"n":2}`)
	records[90] = record("40", `{"n":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`}`)
	r.put(topic, 0, records...)
	r.flushTo(topic, 100)
	if reported, times := r.reports(); times != 2 || reported[33] == "" || reported[90] == "" {
		t.Errorf("reported %v", reported)
	}
	docs := w.docs(topic)
	for i := 50; i < 100; i++ {
		want := numbered(i)
		if i == 90 {
			want = numbered(40)
		}
		if id := strconv.Itoa(i - 50); docs[id] != want {
			t.Errorf("document %s is %s, wanted %s", id, docs[id], want)
		}
	}
}

func dropInvalid(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("drop.invalid.message", "true"), topic)
	r.put(topic, 0, record("", `{}`), record("1", `{"n":1}`))
	r.flushTo(topic, 2)
	w.expect(topic, "1", `{"n":1}`)
	if _, times := r.reports(); times != 0 || !strings.Contains(r.logs.String(), topic+"-0@0") {
		t.Errorf("%d reports, log %q", times, r.logs)
	}
}

// externalResource writes through an alias over two indices, of which one takes the writes.
func externalResource(t *testing.T, w *world) {
	topic, alias := w.topic("Orders"), w.topic("alias")
	old, now := w.create(w.topic("old"), ""), w.create(w.topic("now"), "")
	w.do("POST", "/_aliases", fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}},{"add":{"index":%q,"alias":%q,"is_write_index":true}}]}`, old, alias, now, alias))
	config := w.config("external.resource.usage", "ALIAS_INDEX", "topic.to.external.resource.mapping", topic+":"+alias)
	if problems := New().Validate(t.Context(), config); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	r := start(t, config, topic)
	r.put(topic, 0, record("1", `{"n":1}`))
	r.flushTo(topic, 1)
	w.expect(now, "1", `{"n":1}`)
	config["topic.to.external.resource.mapping"] = topic + ":" + w.topic("missing")
	if problems := New().Validate(t.Context(), config); len(problems) != 1 || problems[0].Key != "topic.to.external.resource.mapping" {
		t.Errorf("a missing index: problems %v", problems)
	}
}

func compressed(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("connection.compression", "true"), topic)
	for i := range 20 {
		r.put(topic, int64(i), record(strconv.Itoa(i), numbered(i)))
		r.flushTo(topic, int64(i)+1)
	}
	if docs := w.docs(topic); len(docs) != 20 || docs["19"] != numbered(19) {
		t.Errorf("documents %v", docs)
	}
}

func manyVersions(t *testing.T, w *world) { versions(t, w, "insert", 60_000) }
func manyUpserts(t *testing.T, w *world)  { versions(t, w, "upsert", 20_000) }

// versions writes so many records on 2,000 documents, with deletes among them, and compares the end of it all.
func versions(t *testing.T, w *world, method string, all int) {
	topic := w.topic("orders")
	w.create(topic, `{"settings":{"refresh_interval":"-1"}}`)
	r := start(t, w.config("write.method", method, "behavior.on.null.values", "delete", "batch.size", "500"), topic)
	want := map[string]string{}
	random := rand.New(rand.NewPCG(1, 2))
	const step = 1000
	for from := 0; from < all; from += step {
		var records []connectors.Record
		for i := from; i < from+step; i++ {
			id, value := strconv.Itoa(random.IntN(2000)), numbered(i)
			if random.IntN(10) == 0 {
				value = ""
				delete(want, id)
			} else {
				want[id] = value
			}
			records = append(records, record(id, value))
		}
		r.put(topic, int64(from), records...)
	}
	r.flushTo(topic, int64(all))
	got := w.docs(topic)
	for id, value := range want {
		if got[id] != value {
			t.Fatalf("document %s is %q, wanted %q", id, got[id], value)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d documents, wanted %d", len(got), len(want))
	}
}
