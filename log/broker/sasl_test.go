package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// door opens another listener of the broker, and returns its address.
func (s *started) door(l Listener) string {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	l.Advertised = Advertised{Host: "127.0.0.1", Port: int32(ln.Addr().(*net.TCPAddr).Port)}
	ended, b := make(chan error, 1), s.b
	go func() { ended <- b.Serve(ln, l) }()
	s.t.Cleanup(func() {
		s.stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	return ln.Addr().String()
}

// ping asks for the cluster's brokers, once.
func ping(t *testing.T, opts ...kgo.Opt) error {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = kadm.NewClient(cl).ListTopics(ctx)
	return err
}

func (s *started) addUser(user, password string, mechanisms ...kadm.ScramMechanism) {
	s.t.Helper()
	var add []kadm.UpsertSCRAM
	for _, m := range mechanisms {
		add = append(add, kadm.UpsertSCRAM{User: user, Mechanism: m, Iterations: minIterations, Password: password})
	}
	got, err := kadm.NewClient(s.client(false)).AlterUserSCRAMs(s.t.Context(), nil, add)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestLogin lets users in by each mechanism, and others not, also after a restart.
func TestLogin(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	s.addUser("both", "p,ass=wörd", kadm.ScramSha256, kadm.ScramSha512)
	s.addUser("one", "secret", kadm.ScramSha512)
	try := func(t *testing.T) {
		at := s.door(Listener{SASL: []string{Plain, ScramSHA256, ScramSHA512}})
		auth := func(user, password string) scram.Auth { return scram.Auth{User: user, Pass: password} }
		plainly := func(user, password string) sasl.Mechanism {
			return plain.Auth{User: user, Pass: password}.AsMechanism()
		}
		for name, c := range map[string]struct {
			by sasl.Mechanism
			ok bool
		}{
			"256":                 {auth("both", "p,ass=wörd").AsSha256Mechanism(), true},
			"512":                 {auth("both", "p,ass=wörd").AsSha512Mechanism(), true},
			"plain":               {plainly("both", "p,ass=wörd"), true},
			"plain by 512":        {plainly("one", "secret"), true},
			"wrong password":      {auth("one", "secret2").AsSha512Mechanism(), false},
			"not that mechanism":  {auth("one", "secret").AsSha256Mechanism(), false},
			"unknown user":        {auth("two", "secret").AsSha512Mechanism(), false},
			"plain wrong":         {plainly("one", "both"), false},
			"plain for another":   {plain.Auth{Zid: "both", User: "one", Pass: "secret"}.AsMechanism(), false},
			"plain, nobody":       {plainly("nobody", "secret"), false},
			"no login":            {nil, false},
			"mechanism not known": {sasl.Mechanism(otherMechanism{}), false},
		} {
			t.Run(name, func(t *testing.T) {
				opts := []kgo.Opt{kgo.SeedBrokers(at)}
				if c.by != nil {
					opts = append(opts, kgo.SASL(c.by))
				}
				err := ping(t, opts...)
				if (err == nil) != c.ok {
					t.Errorf("error %v, want one: %v", err, !c.ok)
				}
				if c.by != nil && !c.ok && !errors.Is(err, kerr.SaslAuthenticationFailed) && !errors.Is(err, kerr.UnsupportedSaslMechanism) {
					t.Errorf("the client is told %v", err)
				}
			})
		}
	}
	t.Run("before", try)
	s.stop()
	s = start(t, dir)
	t.Run("after a restart", try)
}

type otherMechanism struct{}

func (otherMechanism) Name() string { return "GSSAPI" }
func (otherMechanism) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	return nil, []byte("x"), nil
}

// TestUsers makes, lists and removes users.
func TestUsers(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(false)
	adm, ctx := kadm.NewClient(cl), t.Context()
	codes := func(remove []kmsg.AlterUserSCRAMCredentialsRequestDeletion, add ...kmsg.AlterUserSCRAMCredentialsRequestUpsertion) string {
		t.Helper()
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		req.Deletions, req.Upsertions = remove, add
		got, err := req.RequestWith(ctx, cl)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range got.Results {
			line := r.User
			if e := kerr.ErrorForCode(r.ErrorCode); e != nil {
				line += "=" + e.(*kerr.Error).Message + " " + *r.ErrorMessage
			}
			out = append(out, line)
		}
		return strings.Join(out, "; ")
	}
	user := func(name string, mechanism int8, iterations int32) (u kmsg.AlterUserSCRAMCredentialsRequestUpsertion) {
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = name, mechanism, iterations, []byte("salt"), []byte("salted")
		return u
	}
	gone := func(name string, mechanism int8) []kmsg.AlterUserSCRAMCredentialsRequestDeletion {
		return []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: name, Mechanism: mechanism}}
	}
	for _, c := range []struct{ got, want string }{
		{codes(nil, user("a", 1, 4096), user("a", 2, 8192), user("b", 2, 16384)), "a; b"},
		{codes(nil, user("c", 1, 4095), user("d", 1, 16385)), "c=UNACCEPTABLE_CREDENTIAL Too few iterations; d=UNACCEPTABLE_CREDENTIAL Too many iterations"},
		{codes(nil, user("", 1, 4096)), "=UNACCEPTABLE_CREDENTIAL Username must not be empty"},
		{codes(nil, user("c", 1, 4096), user("c", 1, 4096)), "c=DUPLICATE_RESOURCE A user credential cannot be altered twice in the same request"},
		{codes(gone("c", 1)), "c=RESOURCE_NOT_FOUND Attempt to delete a user credential that does not exist"},
		{codes(gone("a", 9)), "a=UNSUPPORTED_SASL_MECHANISM Unknown SCRAM mechanism"},
		{codes(gone("a", 2)), "a"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	described, err := adm.DescribeUserSCRAMs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(described) != 2 || len(described["a"].CredInfos) != 1 || described["a"].CredInfos[0] != (kadm.CredInfo{Mechanism: kadm.ScramSha256, Iterations: 4096}) {
		t.Errorf("described %+v", described)
	}
	described, err = adm.DescribeUserSCRAMs(ctx, "b", "zoe")
	if err != nil || described["b"].Err != nil || !errors.Is(described["zoe"].Err, kerr.ResourceNotFound) {
		t.Errorf("described %+v, %v", described, err)
	}
}

// TestTLS serves with TLS, and asks clients for certificates.
func TestTLS(t *testing.T) {
	stored := filepath.Join("..", "..", "connectors", "tlsstore", "testdata")
	pair := func(name string) tls.Certificate {
		c, err := tls.LoadX509KeyPair(filepath.Join(stored, name), filepath.Join(stored, name))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca, err := os.ReadFile(filepath.Join(stored, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	s := start(t, t.TempDir())
	at := s.door(Listener{TLS: &tls.Config{Certificates: []tls.Certificate{pair("server.pem")}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}})
	for name, c := range map[string]struct {
		opts []kgo.Opt
		ok   bool
	}{
		"certificate":    {[]kgo.Opt{kgo.DialTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair("client.pem")}})}, true},
		"no certificate": {[]kgo.Opt{kgo.DialTLSConfig(&tls.Config{RootCAs: roots})}, false},
		"no TLS":         {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := ping(t, append(c.opts, kgo.SeedBrokers(at))...); (err == nil) != c.ok {
				t.Errorf("error %v, want one: %v", err, !c.ok)
			}
		})
	}
}

// TestBeforeLogin sends what nobody may who has not logged in.
func TestBeforeLogin(t *testing.T) {
	s := start(t, t.TempDir())
	at := s.door(Listener{SASL: []string{ScramSHA512}})
	frame := func(req kmsg.Request) []byte {
		return kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, Plain
	authenticate := kmsg.NewPtrSASLAuthenticateRequest()
	authenticate.Version, authenticate.SASLAuthBytes = 1, []byte("n,,n=a,r=x")
	for name, c := range map[string]struct {
		send []byte
		want int16 // the error that is answered; -2: none, the connection ends
	}{
		"metadata":               {frame(kmsg.NewPtrMetadataRequest()), -2},
		"large":                  {binary.BigEndian.AppendUint32(nil, maxLockedBytes+1), -2},
		"mechanism not enabled":  {frame(handshake), kerr.UnsupportedSaslMechanism.Code},
		"login before handshake": {frame(authenticate), kerr.IllegalSaslState.Code},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(2 * time.Minute))
			if _, err := nc.Write(c.send); err != nil {
				t.Fatal(err)
			}
			var head [10]byte // size, correlation id, error code
			_, err = io.ReadFull(nc, head[:])
			if c.want == -2 {
				if !errors.Is(err, io.EOF) && !strings.Contains(errText(err), "reset") {
					t.Errorf("answered %x, %v", head, err)
				}
				return
			}
			if got := int16(binary.BigEndian.Uint16(head[8:])); err != nil || got != c.want {
				t.Errorf("answered error %d, %v; want %d", got, err, c.want)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzLogin gives the exchanges any messages: they may refuse, and must let nobody in who does not know the password.
func FuzzLogin(f *testing.F) {
	f.Add(byte(0), []byte("\x00user\x00password"), []byte{})
	f.Add(byte(1), []byte("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), []byte("c=biws,r=fyko+d2lbbFgONRv9qkxdawL,p=AAAA"))
	f.Add(byte(2), []byte("n,a=x,n=us=2Cer,r=1"), []byte("c=biws"))
	salt := []byte("salt")
	u := &users{known: map[login]credential{}}
	for _, m := range []string{ScramSHA256, ScramSHA512} {
		c := newCredential(login{"user", m}, minIterations, salt, bytes.Repeat([]byte{7}, newHash(m)().Size()))
		u.known[c.login] = c
	}
	f.Fuzz(func(t *testing.T, mechanism byte, first, second []byte) {
		step, err := u.begin([]string{Plain, ScramSHA256, ScramSHA512}[mechanism%3])
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range [][]byte{first, second} {
			_, user, err := step(message)
			if user != "" {
				t.Fatalf("%q is in", user)
			}
			if err != nil {
				return
			}
		}
	})
}
