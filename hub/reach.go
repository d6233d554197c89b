package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// askTimeout bounds one try to reach the brokers.
const askTimeout = 15 * time.Second

// closedPatience is how long brokers may close connections without a word. It is what they do when they are asked in
// the wrong protocol, and what a proxy before them does while they start.
const closedPatience = 8 * time.Second

// Reach waits until the brokers of a worker's bootstrap.servers answer, at most a minute. It fails at once if they
// never will with this configuration: user, password, certificates, protocol. The error is one line that says what to
// do. Client says where they are. What is returned says also how they were reached, and as whom; the hub knows that by
// itself, it is for others that reach the same brokers.
func Reach(ctx context.Context, worker map[string]string, client []kgo.Opt) ([]kgo.Opt, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	keys, _ := splitSecurity(worker)
	l := layer{keys: keys}
	opts, err := l.options()
	if err != nil {
		return nil, err
	}
	opts = slices.Concat(client, opts)
	give := time.Now().Add(closedPatience)
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := askBrokers(ctx, opts)
		if err == nil {
			return opts, nil
		}
		remedy := l.remedy(err)
		refused := remedy != "" && (!closed(err) || time.Now().After(give))
		if refused || sleep(ctx, delay) != nil {
			if remedy == "" {
				remedy = "check that the brokers run, and that this machine reaches them"
			}
			return nil, fmt.Errorf("reach the brokers of bootstrap.servers=%s: %s; %s", worker["bootstrap.servers"], oneLine(err), remedy)
		}
	}
}

// askBrokers asks a seed which brokers there are, and then one of those whether it answers: it may be known by another
// name, to which its certificate must fit.
func askBrokers(ctx context.Context, opts []kgo.Opt) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := kgo.NewClient(append(slices.Clone(opts), kgo.ClientID("sluice-hub"), kgo.RequestRetries(1))...)
	if err != nil {
		return err
	}
	defer client.Close()
	// Not the versions of the API: brokers tell those to anyone.
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	if _, err := req.RequestWith(ctx, client); err != nil {
		return err
	}
	return client.Ping(ctx)
}

// closed reports whether the brokers closed the connection without saying why.
func closed(err error) bool {
	var eof *kgo.ErrFirstReadEOF
	return errors.As(err, &eof)
}

// remedy says what to do about an error that trying again does not mend; "" if it may.
func (l layer) remedy(err error) string {
	set := func(key string) string { return l.prefix + key }
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		network   *net.OpError
	)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "the brokers do not take this user and password: check " + set(saslJAAS) + ", and that the user exists for " + set(saslMechanism) + "=" + l.keys[saslMechanism]
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "this listener does not offer " + set(saslMechanism) + "=" + l.keys[saslMechanism] + ": set another, or another port in bootstrap.servers"
	case errors.Is(err, kerr.IllegalSaslState):
		return l.wrongProtocol(err)
	case errors.As(err, &host):
		return "name the brokers as their certificate does, or set " + set("ssl.endpoint.identification.algorithm") + " to nothing"
	case errors.As(err, &authority):
		return "name the certificate of who signed it in " + set("ssl.truststore.location") + " (PEM, PKCS12 or JKS, with " + set("ssl.truststore.password") +
			") or " + set("ssl.truststore.certificates")
	case errors.As(err, &invalid):
		return "the brokers need another certificate, or this machine another clock"
	case errors.As(err, &record):
		return l.wrongProtocol(err)
	case errors.As(err, &network) && network.Op == "remote error":
		return "the brokers do not take this client's certificate: check " + set("ssl.keystore.location") + " or " + set("ssl.keystore.certificate.chain")
	case closed(err), strings.Contains(err.Error(), "tls alert record"):
		return l.wrongProtocol(err)
	}
	return ""
}

// wrongProtocol says that a port does not speak what it is spoken to in.
func (l layer) wrongProtocol(err error) string {
	now := strings.ToUpper(strings.TrimSpace(l.keys[securityProtocol]))
	encrypted, login := strings.HasSuffix(now, "SSL"), strings.HasPrefix(now, "SASL_")
	if now == "" {
		now = protocolPlaintext + ", the default"
	}
	var seems, set string
	switch {
	case errors.Is(err, kerr.IllegalSaslState) && encrypted:
		seems, set = "wants no user", protocolSSL
	case errors.Is(err, kerr.IllegalSaslState):
		seems, set = "wants no user", protocolPlaintext
	case encrypted && !login && strings.Contains(err.Error(), "SASL"):
		seems, set = "wants a user", protocolSASLSSL
	case encrypted:
		seems, set = "does not speak TLS", protocolPlaintext+" or "+protocolSASLPlaintext
	case login:
		seems, set = "wants TLS", protocolSASLSSL
	default:
		seems, set = "wants TLS or a user", protocolSSL+", "+protocolSASLSSL+" or "+protocolSASLPlaintext
	}
	return fmt.Sprintf("the port seems to be one that %s (%s is %s): set %s, or name another port in bootstrap.servers", seems, l.prefix+securityProtocol, now, set)
}

// oneLine returns an error's text without line ends.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
