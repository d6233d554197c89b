package schemaregistry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
	"github.com/sluicehub/sluice/schemaregistry/access"
	"github.com/twmb/franz-go/pkg/kgo"
)

// newLog starts a broker of our own on a folder. It ends with the test.
func newLog(t *testing.T) []kgo.Opt {
	t.Helper()
	l, err := log.Open(log.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Options{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
	return []kgo.Opt{kgo.SeedBrokers("in-process:1"), kgo.Dialer(b.Dial)}
}

// onBoth runs a test with franz-go's broker and with our own: what keeps several writers apart is a broker's doing.
func onBoth(t *testing.T, test func(*testing.T, []kgo.Opt)) {
	t.Run("kfake", func(t *testing.T) { test(t, newKafka(t)) })
	t.Run("our log", func(t *testing.T) { test(t, newLog(t)) })
}

// Writers on several nodes never give an id or a version twice, and all nodes end with one state.
func TestSeveralNodes(t *testing.T) { onBoth(t, testSeveralNodes) }

func testSeveralNodes(t *testing.T, kafka []kgo.Opt) {
	nodes := []*Registry{open(t, kafka), open(t, kafka), open(t, kafka)}
	if _, err := nodes[0].Register(t.Context(), "warm", `"int"`); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].setConfig(t.Context(), "", func(v *configValue) { v.Level = "NONE" }); err != nil {
		t.Fatal(err)
	}
	const each = 15
	var wg sync.WaitGroup
	var mu sync.Mutex
	texts := make(map[int]string)
	for n, r := range nodes {
		wg.Go(func() {
			for i := range each {
				text := fmt.Sprintf(`{"type":"record","name":"N%dT%d","fields":[]}`, n, i)
				id, err := r.Register(t.Context(), "s", text)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, twice := texts[id]; twice {
					t.Errorf("id %d is %s and %s", id, other, text)
				}
				texts[id] = text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	nodes = append(nodes, open(t, kafka)) // one that has seen nothing but the topic
	for n, r := range nodes {
		for id, want := range texts {
			if err := r.store.catchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if text, err := r.ByID(t.Context(), id); err != nil || text != want {
				t.Errorf("node %d: id %d is %s, want %s (%v)", n, id, text, want, err)
			}
		}
		if f := r.Figures(); f.Versions != len(nodes[1:])*each+1 || f.Schemas != f.Versions {
			t.Errorf("node %d: %+v", n, f)
		}
	}
	// What compaction would leave, the newest record of each key, says the same.
	last := newState()
	newest := make(map[string]string)
	for _, r := range topicRecords(t, kafka) {
		key, value, _ := strings.Cut(r, " → ")
		newest[key] = value
	}
	for key, value := range newest {
		if err := last.apply([]byte(key), []byte(value), 0); err != nil {
			t.Error(err)
		}
	}
	for id, want := range texts {
		if s := last.in(defaultContext).byID[id]; s == nil || s.text != want {
			t.Errorf("after compaction id %d is %v, want %s", id, s, want)
		}
	}
}

// A node that wrote a moment too late finds that out, gives way and keeps the topic right.
func TestTooLate(t *testing.T) {
	for name, other := range map[string][2]string{
		"version": {`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"subject":"s","version":1,"id":50,"schema":"\"string\"","deleted":false}`},
		"id":      {`{"keytype":"SCHEMA","subject":"o","version":1,"magic":1}`, `{"subject":"o","version":1,"id":1,"schema":"\"string\"","deleted":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			kafka := newKafka(t)
			r := open(t, kafka, func(o *Options) { o.Level = "NONE" })
			p := &registration{r: r, subject: "s", request: request{Schema: `"int"`}}
			first := true
			err := r.make(t.Context(), "testing", &change{settled: p.settled, shared: true, decide: func(d *draft) ([]*kgo.Record, error) {
				records, err := p.decide(d)
				if first { // the other node is quicker
					first = false
					put(t, kafka, other[0], other[1])
				}
				return records, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			again := open(t, kafka)
			for id, want := range map[int]string{p.result.schema.id: `"int"`, map[string]int{"version": 50, "id": 1}[name]: `"string"`} {
				if text, err := again.ByID(t.Context(), id); text != want || err != nil {
					t.Errorf("id %d is %s, want %s (%v)", id, text, want, err)
				}
			}
		})
	}
}

// An epoch that has passed writes nothing, whatever was decided under it, and however late it comes.
func TestADeposedWriterWritesNothing(t *testing.T) { onBoth(t, testDeposedWriter) }

func testDeposedWriter(t *testing.T, kafka []kgo.Opt) {
	a, b := open(t, kafka, func(o *Options) { o.Level = None }), open(t, kafka, func(o *Options) { o.Level = None })
	if _, err := a.Register(t.Context(), "s", `"int"`); err != nil {
		t.Fatal(err)
	}
	p := &registration{r: a, subject: "s", request: request{Schema: `"string"`}}
	first := true
	err := a.make(t.Context(), "testing", &change{settled: p.settled, shared: true, decide: func(d *draft) ([]*kgo.Record, error) {
		records, err := p.decide(d)
		if first { // between this decision and its writing the other node takes over, and gives the id that was decided on
			first = false
			if id, err := b.Register(t.Context(), "s", `"bytes"`); err != nil || id != 2 {
				t.Errorf("id %d: %v", id, err)
			}
		}
		return records, err
	}})
	if err != nil || p.result.schema.id != 3 || p.result.number != 3 {
		t.Errorf("%+v: %v", p.result, err)
	}
	if errs := b.store.append(t.Context(), []*kgo.Record{{Key: keyOfSchema("s", 9), Value: []byte("late")}}); !errors.Is(errs[0], errDeposed) {
		t.Errorf("the deposed node wrote: %v", errs)
	}
	for _, r := range topicRecords(t, kafka) {
		if strings.Contains(r, "late") {
			t.Error(r)
		}
	}
	// A claim that has lain about for long is not relied on.
	a.store.held.used = a.store.held.used.Add(-2 * claimLasts)
	epoch := a.store.held.epoch
	if _, err := a.Register(t.Context(), "s", `"double"`); err != nil || a.store.held.epoch <= epoch {
		t.Errorf("epoch %d after %d: %v", a.store.held.epoch, epoch, err)
	}
}

// served is a registry whose handler others can reach. It keeps what it is asked.
type served struct {
	*Registry
	url string

	mu    sync.Mutex
	asked []string // method, path and X-Forward
}

func openServed(t *testing.T, kafka []kgo.Opt, change ...func(*Options)) *served {
	t.Helper()
	s := &served{}
	server := httptest.NewUnstartedServer(nil)
	s.url = "http://" + server.Listener.Addr().String()
	s.Registry = open(t, kafka, append(change, func(o *Options) { o.Advertised = s.url })...)
	handler := s.Handler(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get(forwardHeader))
		s.mu.Unlock()
		handler.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// forwarded returns what other nodes have asked.
func (s *served) forwarded() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if what, id, _ := strings.Cut(a, " "+s.store.self.id); id == "" && what != a {
			list = append(list, what)
		}
	}
	return list
}

func TestFollowersForward(t *testing.T) {
	kafka := newKafka(t)
	a, b := openServed(t, kafka), openServed(t, kafka)
	run(t, a.url, []step{{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`}})
	run(t, b.url, []step{
		{"GET /subjects", "", 200, `["s"]`},
		{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`}, // is known here
		{"POST /subjects/s/versions", avroBody(fieldB), 409, `~"error_code":409`},
		{"POST /contexts/.c/subjects/a%2Fb/versions?normalize=true", avroBody(fieldB), 200, `{"id":1}`},
		{"GET /subjects/:.c:a%2Fb/versions/latest", "", 200, `~"version":1`},
		{"PUT /config/s", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"NONE"}`},
		{"PUT /mode/s", `{"mode":"WRONG"}`, 422, `~"error_code":42204`},
		{"POST /subjects/s/versions", avroBody(fieldB), 200, `{"id":2}`},
		{"DELETE /subjects/s/versions/1", "", 200, `1`},
		{"GET /subjects/s/versions", "", 200, `[2]`},
		{"DELETE /subjects/none", "", 404, `~"error_code":40401`},
		{"POST /api/v1/registry/subjects/s/versions/1/restore", "{}", 200, `{"subject":"s","version":1}`},
	})
	want := []string{"POST /subjects/s/versions", "POST /contexts/.c/subjects/a%2Fb/versions", "PUT /config/s", "POST /subjects/s/versions",
		"DELETE /subjects/s/versions/1", "DELETE /subjects/none", "POST /api/v1/registry/subjects/s/versions/1/restore"}
	if got := a.forwarded(); !slices.Contains(got, want[0]) || !slices.Equal(got[1:], want[1:]) {
		t.Errorf("forwarded: %q", got)
	}
	if !a.Figures().Writes || b.Figures().Writes {
		t.Error("the other node writes now")
	}
	// What one node is told of the other knows at once.
	for i := range 20 {
		id := fmt.Sprint(3 + i)
		run(t, b.url, []step{{"POST /subjects/s/versions", schemaBody(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i)), 200, `{"id":` + id + `}`}})
		run(t, a.url, []step{{"GET /schemas/ids/" + id, "", 200, `~fixed`}, {"GET /subjects/s/versions/latest", "", 200, `~"id":` + id + `,`}})
		run(t, a.url, []step{{"DELETE /subjects/s/versions/latest", "", 200, `~`}})
		run(t, b.url, []step{{"GET /schemas/ids/" + id + "/versions", "", 200, `[]`}})
	}
}

// Whom nobody can forward to, another node takes over from; it forwards to nobody that it cannot be sure of.
func TestWhoCannotBeForwardedToIsSucceeded(t *testing.T) {
	kafka := newKafka(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMisdirectedRequest) }))
	defer other.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer broken.Close()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hung.Close()
	follower := openServed(t, kafka, func(o *Options) { o.Peers = &http.Client{Timeout: 300 * time.Millisecond} })
	for i, url := range []string{"", "http://127.0.0.1:1", other.URL, broken.URL, hung.URL, follower.url} {
		writer := open(t, kafka, func(o *Options) { o.Advertised = url })
		if _, err := writer.Register(t.Context(), fmt.Sprintf("w%d", i), `"int"`); err != nil {
			t.Fatal(err)
		}
		run(t, follower.url, []step{{fmt.Sprintf("POST /subjects/f%d/versions", i), schemaBody(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i)), 200, `~"id":`}})
		if !follower.Figures().Writes {
			t.Errorf("%q: the follower did not take over", url)
		}
	}
	// A deletion may have been done when the connection broke: that is said, not tried again.
	last := open(t, kafka, func(o *Options) { o.Advertised = broken.URL })
	if _, err := last.Register(t.Context(), "w", `"long"`); err != nil {
		t.Fatal(err)
	}
	run(t, follower.url, []step{{"DELETE /subjects/w", "", 500, `~"error_code":50003`}})
}

func TestWhoIsNotToWrite(t *testing.T) {
	kafka := newKafka(t)
	follower := openServed(t, kafka, func(o *Options) { o.NeverWrites = true })
	run(t, follower.url, []step{{"POST /subjects/s/versions", avroBody(fieldA), 500, `~"error_code":50004`}})
	writer := openServed(t, kafka)
	run(t, writer.url, []step{{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`}})
	run(t, follower.url, []step{{"POST /subjects/t/versions", avroBody(fieldA), 200, `{"id":1}`}})
	var e *Error
	if _, err := follower.Register(t.Context(), "u", `"int"`); !errors.As(err, &e) || e.Code != 50004 {
		t.Error(err)
	}
	gone := open(t, kafka, func(o *Options) { o.Advertised = "http://127.0.0.1:1" })
	if _, err := gone.Register(t.Context(), "v", `"int"`); err != nil {
		t.Fatal(err)
	}
	run(t, follower.url, []step{{"POST /subjects/u/versions", schemaBody(`"long"`), 500, `~"error_code":50003`}})
}

// A forwarded request says who asks, so the other node asks for the same permissions; and it goes no further.
func TestForwardedRequestsAreAuthenticated(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tokens, permissions := file("tokens", "ada:hush\n"), file("permissions", "ada read,write s*\n")
	guarded := func(o *Options) {
		guard, err := access.Open(access.Options{Tokens: tokens, Permissions: permissions})
		if err != nil {
			t.Fatal(err)
		}
		o.Access = guard
	}
	kafka := newKafka(t)
	a, b := openServed(t, kafka, guarded), openServed(t, kafka, guarded)
	const is, ada = "Authorization", "Bearer hush"
	for i, c := range []struct {
		url, subject, id string
		header           []string
		status           int
	}{
		{a.url, "s1", "1", []string{is, ada}, 200},
		{b.url, "s2", "2", []string{is, ada}, 200},
		{b.url, "s3", "", nil, 401},
		{b.url, "t", "", []string{is, ada}, 403},
		{a.url, "s4", "", []string{is, ada, forwardHeader, "another node"}, 421},
		{b.url, "s5", "3", []string{is, ada, forwardHeader, "true"}, 200}, // as a Confluent registry asks; b takes over
	} {
		body := schemaBody(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i))
		status, answer, _ := ask(t, c.url, "POST", "/subjects/"+c.subject+"/versions", body, c.header...)
		if status != c.status || c.id != "" && answer != `{"id":`+c.id+`}` {
			t.Errorf("%d: %d %s", i, status, answer)
		}
	}
	if got := a.forwarded(); len(got) != 1 || !b.Figures().Writes {
		t.Errorf("%q", got)
	}
}

// While the topic cannot be read, reads are answered from memory, and soon.
func TestReadsWithoutTheTopic(t *testing.T) {
	kafka := newKafka(t)
	r := openServed(t, kafka)
	run(t, r.url, []step{{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`}})
	r.store.client.Close()
	for range 20 { // each would wait for a second if the first had not
		run(t, r.url, []step{{"GET /subjects/s/versions/latest", "", 200, `~"id":1`}, {"GET /schemas/ids/2", "", 404, `~40403`}})
	}
}
