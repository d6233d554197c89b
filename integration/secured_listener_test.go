package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The embedded log serves a second listener with TLS, login and ACLs: a user that is made at the first gets in there,
// with a client of another make, and may do what an ACL allows, also after a restart; a stranger does not get in.
func TestSecuredListener(t *testing.T) {
	t.Parallel()
	port, err := services.ReservePort()
	must(t, err)
	t.Cleanup(port.Release)
	inner, err := services.ReservePort()
	must(t, err)
	t.Cleanup(inner.Release)
	stores, err := filepath.Abs(filepath.Join("..", "connectors", "tlsstore", "testdata"))
	must(t, err)
	w := startWorker(t, worker.Options{Settings: map[string]string{
		"sluice.kafka.listener":                     inner.Addr() + ",SASL_SSL://" + port.Addr(),
		"sluice.kafka.broker.ssl.keystore.location": filepath.Join(stores, "server.pem"),
		"sluice.kafka.broker.authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"sluice.kafka.broker.super.users":           "User:ANONYMOUS",
	}})
	cl, err := kgo.NewClient(kgo.SeedBrokers(inner.Addr()))
	must(t, err)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	made, err := adm.AlterUserSCRAMs(deadline(t), nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: alicesPassword}})
	must(t, err)
	must(t, made.Error())
	python, err := services.FetchKafkaPython(deadline(t))
	must(t, err)
	script := func(topic, password string) string {
		return fmt.Sprintf(`
from kafka import KafkaProducer, KafkaConsumer
from kafka.errors import KafkaError
config = dict(bootstrap_servers=%q, security_protocol='SASL_SSL', ssl_cafile=%q, sasl_mechanism='SCRAM-SHA-512',
    sasl_plain_username='alice', sasl_plain_password=%q)
try:
    producer = KafkaProducer(acks='all', max_block_ms=20000, **config)
    producer.send(%q, value=b'secured').get(60)
    consumer = KafkaConsumer(%[4]q, group_id='g', auto_offset_reset='earliest', **config)
    print(next(iter(consumer)).value.decode())
except KafkaError as e:
    print('refused:', type(e).__name__)
`, port.Addr(), filepath.Join(stores, "ca.pem"), password, topic)
	}
	if got := output(t, "", python, "-c", script("before", alicesPassword)); !strings.Contains(got, "AuthorizationFailed") {
		t.Errorf("without an ACL: %s", got)
	}
	allowed := kadm.NewACLs().Topics("*").Groups("g").Operations(kadm.OpRead, kadm.OpWrite, kadm.OpCreate).Allow("User:alice").AllowHosts("127.0.0.1")
	results, err := adm.CreateACLs(deadline(t), allowed)
	must(t, err)
	for _, r := range results {
		must(t, r.Err)
	}
	if got := output(t, "", python, "-c", script("before", alicesPassword)); !strings.HasSuffix(strings.TrimSpace(got), "secured") {
		t.Errorf("got %s", got)
	}
	if got := output(t, "", python, "-c", script("never", wrongPassword)); !strings.Contains(got, "refused:") {
		t.Errorf("with a wrong password: %s", got)
	}
	must(t, w.Kill())
	must(t, w.Start(deadline(t)))
	if got := output(t, "", python, "-c", script("after", alicesPassword)); !strings.HasSuffix(strings.TrimSpace(got), "secured") {
		t.Errorf("after a kill: %s", got)
	}
	noSecret(t, "the log", w.Log())
}
