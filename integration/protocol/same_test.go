package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/log/broker"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// node is a broker that is asked without a client between: one connection, one request at a time.
type node struct {
	t     *testing.T
	addr  string
	conn  net.Conn
	ids   map[string][16]byte // topics by name
	bag   map[string]int64    // what a request needs of an earlier answer
	words map[string]string
}

func dialNode(t *testing.T, addr string) *node {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	if end, ok := deadline(t).Deadline(); ok {
		must(t, conn.SetDeadline(end))
	}
	return &node{t: t, addr: addr, conn: conn, ids: make(map[string][16]byte), bag: make(map[string]int64), words: make(map[string]string)}
}

// word is what an earlier answer put in a word's place.
func (n *node) word(w string) string {
	if answered, ok := n.words[w]; ok {
		return answered
	}
	return w
}

// ask sends a request in a version and returns its answer.
func (n *node) ask(version int16, req kmsg.Request) kmsg.Response {
	n.t.Helper()
	req.SetVersion(version)
	_, err := n.conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("same")).AppendRequest(nil, req, 7))
	must(n.t, err)
	var size [4]byte
	_, err = io.ReadFull(n.conn, size[:])
	must(n.t, err)
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(n.conn, body)
	must(n.t, err)
	r := kbin.Reader{Src: body}
	r.Int32()
	if req.IsFlexible() && req.Key() != 18 {
		kmsg.SkipTags(&r)
	}
	resp := req.ResponseKind()
	must(n.t, resp.ReadFrom(r.Src))
	return resp
}

// exchange is one request that is put to both brokers.
type exchange struct {
	name    string
	version int16
	request func(*node) kmsg.Request
	// differs are fields of the answer, by name, wherever they are, in which the brokers may differ.
	differs []string
	// once is for a request whose second answer is another.
	once bool
	// note takes out of an answer what later requests need.
	note func(*node, kmsg.Response)
}

// TestAnswersAsKafka puts the same requests to the log and to Apache Kafka.
func TestAnswersAsKafka(t *testing.T) {
	t.Parallel()
	ours, kafka := dialNode(t, startBroker(t, broker.Options{OneReplicaOnly: true, Settings: map[string]string{"auto.create.topics.enable": "false"}})), dialNode(t, services.UseKafka(t).Bootstrap)
	prefix := fmt.Sprintf("same-%d", time.Now().UnixNano()) // Kafka may have been here before
	for _, x := range exchanges(prefix) {
		diff := x.diff(kafka, ours)
		for until := time.Now().Add(settling); diff != "" && !x.once && time.Now().Before(until); diff = x.diff(kafka, ours) {
			time.Sleep(20 * time.Millisecond) // between two questions; what is waited for is that the answers agree
		}
		if diff != "" {
			t.Errorf("%s: the answers differ (-kafka +sluice):\n%s", x.name, diff)
		}
	}
}

// settling is how long Kafka is given to know what it was told: its broker learns from its controller, and its
// coordinators begin to work, a while after the request.
const settling = 20 * time.Second

// diff puts the request to both brokers and says in what the answers differ.
func (x *exchange) diff(kafka, ours *node) string {
	var answers [2]any
	for i, n := range []*node{kafka, ours} {
		resp := n.ask(x.version, x.request(n))
		if x.note != nil {
			x.note(n, resp)
		}
		answers[i] = n.comparable(resp, x.differs)
	}
	return cmp.Diff(answers[0], answers[1])
}

// comparable is an answer without what is each broker's own: addresses, ids of clusters and topics, words of messages.
func (n *node) comparable(resp kmsg.Response, differs []string) any {
	b, err := json.Marshal(resp)
	must(n.t, err)
	var tree any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	must(n.t, dec.Decode(&tree))
	host, port, _ := net.SplitHostPort(n.addr)
	return strip(tree, append(differs, "Version", "ClusterID", "Host", "Port", "UnknownTags", "ErrorMessage", "TopicID", "ThrottleMillis"), host, port)
}

// strip removes members by name, throughout, and makes null and empty lists one.
func strip(v any, names []string, host, port string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if slices.Contains(names, k) {
				delete(v, k)
				continue
			}
			v[k] = strip(m, names, host, port)
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = strip(v[i], names, host, port)
		}
	}
	return v
}
