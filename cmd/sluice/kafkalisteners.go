package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/tlsstore"
	"github.com/sluicehub/sluice/log/broker"
)

const (
	listenerKey   = "sluice.kafka.listener"
	advertisedKey = "sluice.kafka.advertised.listener"
	insecureKey   = "sluice.kafka.insecure"
	mechanismsKey = brokerPrefix + "sasl.enabled.mechanisms"
	clientAuthKey = brokerPrefix + "ssl.client.auth"
	authorizerKey = brokerPrefix + "authorizer.class.name"
	superUsersKey = brokerPrefix + "super.users"
	noACLKey      = brokerPrefix + "allow.everyone.if.no.acl.found"
)

// kafkaDefinition is what a worker's configuration may say about how clients reach the embedded log.
func kafkaDefinition() *configs.Definition {
	const group = "Sluice"
	return configs.Concat(&configs.Definition{
		Keys: []configs.Key{
			{Name: listenerKey, Type: configs.List, Default: "127.0.0.1:9092", Importance: configs.High, Group: group,
				Example: "127.0.0.1:9092,SASL_SSL://0.0.0.0:9094",
				Doc:     "Where Kafka clients reach the embedded log: [PROTOCOL://]host:port, with Kafka's protocols PLAINTEXT (the default), SSL, SASL_PLAINTEXT and SASL_SSL."},
			{Name: advertisedKey, Type: configs.List, Importance: configs.Medium, Group: group, Example: "127.0.0.1:9092,kafka.example.com:9094",
				Doc: "The addresses that Kafka clients are told to connect to, host:port, one for each listener in the same order, if they are not the listeners' own."},
			{Name: insecureKey, Type: configs.Boolean, Default: "false", Group: group,
				Doc: "Lets other machines reach a listener without TLS and without login, and passwords be sent without TLS."},
			{Name: mechanismsKey, Type: configs.List, Default: broker.ScramSHA256 + "," + broker.ScramSHA512, Group: group,
				Enum: []string{broker.Plain, broker.ScramSHA256, broker.ScramSHA512},
				Doc:  "How clients log in at listeners with SASL. Users are made through the Kafka protocol, as kafka-configs.sh does; PLAIN checks the password of the same users."},
			{Name: clientAuthKey, Type: configs.String, Default: "none", Enum: []string{"none", "requested", "required"}, Group: group,
				Doc: "Whether clients at listeners with TLS show a certificate, which the truststore must have signed."},
			{Name: authorizerKey, Type: configs.String, Group: group, Enum: []string{standardAuthorizer},
				Doc: "Set to Kafka's class, it lets only those do something whom an ACL allows it. ACLs are made through the Kafka protocol, as kafka-acls.sh does. This process, its connectors and its registry may do everything."},
			{Name: superUsersKey, Type: configs.String, Group: group, Example: "User:admin;User:CN=ops", Check: checkPrincipals,
				Doc: "Who may do everything, with semicolons between them. A client that has not logged in is User:ANONYMOUS, one with a certificate is its subject."},
			{Name: noACLKey, Type: configs.Boolean, Default: "false", Group: group,
				Doc: "Whether everybody may use a resource that no ACL is about."},
		},
		Rules: []configs.Rule{configs.Check("Listeners that other machines reach have TLS or SASL.", []string{listenerKey, advertisedKey, insecureKey, mechanismsKey}, checkListeners)},
	}, tlsstore.Definition().WithPrefix(brokerPrefix, group))
}

// standardAuthorizer is Kafka's class of what log/broker does with ACLs.
const standardAuthorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"

// checkPrincipals accepts TYPE:NAME;TYPE:NAME;…
func checkPrincipals(value string) error {
	for _, who := range strings.Split(value, ";") {
		if kind, name, ok := strings.Cut(strings.TrimSpace(who), ":"); !ok || kind != "User" || name == "" {
			return fmt.Errorf("must be User:NAME, several with semicolons between them; %q is not", who)
		}
	}
	return nil
}

// aclOptions is how ACLs are applied.
func aclOptions(v configs.Values) broker.ACLOptions {
	o := broker.ACLOptions{Enabled: v.String(authorizerKey) != "", AllowWithoutRule: v.Bool(noACLKey)}
	for _, who := range strings.Split(v.String(superUsersKey), ";") {
		if who = strings.TrimSpace(who); who != "" {
			o.SuperUsers = append(o.SuperUsers, who)
		}
	}
	return o
}

// kafkaListener is one listener of the embedded log as it is configured.
type kafkaListener struct {
	tls, sasl bool
	address   string // host:port
}

// parseListener reads [PROTOCOL://]host:port.
func parseListener(text string) (l kafkaListener, err error) {
	protocol, address, named := strings.Cut(text, "://")
	if !named {
		protocol, address = "PLAINTEXT", text
	}
	switch strings.ToUpper(protocol) {
	case "PLAINTEXT":
	case "SSL":
		l.tls = true
	case "SASL_PLAINTEXT":
		l.sasl = true
	case "SASL_SSL":
		l.tls, l.sasl = true, true
	default:
		return l, fmt.Errorf("%s: the protocol must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", text)
	}
	l.address = address
	if err := checkAddress(address); err != nil {
		return l, fmt.Errorf("%s: %w", text, err)
	}
	return l, nil
}

// local reports whether only this machine reaches the listener.
func (l kafkaListener) local() bool {
	host, _, err := net.SplitHostPort(l.address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// checkListeners reads the listeners and finds those that would let anybody in.
func checkListeners(v configs.Values) (problems []configs.Problem) {
	wrong := func(key, format string, args ...any) {
		problems = append(problems, configs.Problem{Key: key, Message: fmt.Sprintf("Invalid value for configuration %s: ", key) + fmt.Sprintf(format, args...)})
	}
	listeners, advertised := v.List(listenerKey), v.List(advertisedKey)
	if len(listeners) == 0 {
		wrong(listenerKey, "must be at least one host:port")
	}
	if len(advertised) > 0 && len(advertised) != len(listeners) {
		wrong(advertisedKey, "there are %d addresses for %d listeners; give one for each, in the same order", len(advertised), len(listeners))
	}
	for _, a := range advertised {
		if err := checkAddress(a); err != nil {
			wrong(advertisedKey, "%s: %v", a, err)
		}
	}
	for _, text := range listeners {
		l, err := parseListener(text)
		switch {
		case err != nil:
			wrong(listenerKey, "%v", err)
		case v.Bool(insecureKey):
		case !l.local() && !l.tls && !l.sasl:
			wrong(listenerKey, "%s would let everybody who reaches this machine read and write all topics; use SASL_SSL:// or SSL://, or a loopback address, or set %s=true if the network is trusted", text, insecureKey)
		case l.sasl && !l.tls && slices.Contains(v.List(mechanismsKey), broker.Plain):
			wrong(mechanismsKey, "with %s at %s passwords would be sent unencrypted; use SASL_SSL://, or SCRAM, or set %s=true", broker.Plain, text, insecureKey)
		}
	}
	return problems
}

// kafkaListeners returns how each of the open listeners is served.
func kafkaListeners(v configs.Values, open []net.Listener) ([]broker.Listener, error) {
	advertised := v.List(advertisedKey)
	out := make([]broker.Listener, len(open))
	for i, text := range v.List(listenerKey) {
		l, err := parseListener(text)
		if err != nil {
			return nil, err
		}
		told := open[i].Addr().String()
		if len(advertised) > 0 {
			told = advertised[i]
		}
		if out[i].Advertised, err = advertisedAs(told); err != nil {
			return nil, err
		}
		if l.sasl {
			out[i].SASL = v.List(mechanismsKey)
		}
		if !l.tls {
			continue
		}
		out[i].TLS, err = tlsstore.ServerConfig(v, brokerPrefix, v.String(clientAuthKey))
		var e *tlsstore.Error
		if errors.As(err, &e) {
			return nil, fmt.Errorf("listen on %s: %w", text, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// advertisedAs is what clients of a listener are told to connect to. A listener on all interfaces cannot know by which
// name it is reached: then it is the name that was configured, or the loopback.
func advertisedAs(address string) (broker.Advertised, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return broker.Advertised{}, fmt.Errorf("%s: %w", advertisedKey, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return broker.Advertised{}, fmt.Errorf("%s: port %q is not a number", advertisedKey, portText)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return broker.Advertised{Host: host, Port: int32(port)}, nil
}
