package converters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// Registry is what an Avro converter needs of a schema registry. Schemas are Avro schemas in their text form. It is
// used by several goroutines at once.
type Registry interface {
	// Register registers the schema under the subject, unless it is there, and returns its id.
	Register(ctx context.Context, subject, schema string) (id int, err error)
	// Lookup returns the id of a schema that is registered under the subject.
	Lookup(ctx context.Context, subject, schema string) (id int, err error)
	// Latest returns the latest schema of the subject.
	Latest(ctx context.Context, subject string) (id int, schema string, err error)
	// ByID returns the schema of that id.
	ByID(ctx context.Context, id int) (schema string, err error)
}

// registryPrefix is before the keys of TLS (schema.registry.ssl.truststore.location), as with Confluent's converters.
const registryPrefix = "schema.registry."

// registryTimeout bounds each question to a registry.
const registryTimeout = 30 * time.Second

// registryKeys declares where the registry is and how to log in there.
func registryKeys() []configs.Key {
	return []configs.Key{
		{Name: "schema.registry.url", Type: configs.List, Importance: configs.High, Example: "http://localhost:8081",
			Doc: "Addresses of the schema registry. Absent: the hub's own."},
		{Name: "basic.auth.credentials.source", Type: configs.String, Default: "URL", Importance: configs.Medium,
			Aliases: []string{"schema.registry.basic.auth.credentials.source"}, Enum: []string{"URL", "USER_INFO"},
			Doc: "Where user and password are: in the address, or in basic.auth.user.info."},
		{Name: "basic.auth.user.info", Type: configs.Password, Importance: configs.Medium, Secret: true,
			Aliases: []string{"schema.registry.basic.auth.user.info"}, Doc: "User and password for the registry, separated by a colon."},
		{Name: "bearer.auth.credentials.source", Type: configs.String, Importance: configs.Medium,
			Aliases: []string{"schema.registry.bearer.auth.credentials.source"}, Enum: []string{"STATIC_TOKEN"},
			Doc: "STATIC_TOKEN: send bearer.auth.token."},
		{Name: "bearer.auth.token", Type: configs.Password, Importance: configs.Medium, Secret: true,
			Aliases: []string{"schema.registry.bearer.auth.token"}, Doc: "Token for the registry."},
	}
}

// registryOf returns the registry that a configuration means.
func registryOf(v configs.Values, deps Deps) (Registry, error) {
	urls := v.List("schema.registry.url")
	own := len(urls) == 0
	for _, u := range urls {
		for _, o := range deps.RegistryURLs {
			own = own || strings.TrimRight(u, "/") == strings.TrimRight(o, "/")
		}
	}
	if own {
		if deps.Registry == nil {
			return nil, errors.New("schema.registry.url is missing, and the hub has no registry of its own")
		}
		return deps.Registry, nil
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{}
	}
	transport = transport.Clone()
	var err error
	if transport.TLSClientConfig, err = tlsstore.Config(v, registryPrefix); err != nil {
		return nil, err
	}
	opts := []sr.ClientOpt{sr.HTTPClient(&http.Client{Timeout: registryTimeout, Transport: transport})}
	user, password, basic := strings.Cut(v.Password("basic.auth.user.info").Reveal(), ":")
	for i, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Host == "" {
			return nil, fmt.Errorf("schema.registry.url: address %d is not a URL with scheme and host", i+1)
		}
		if parsed.User != nil && v.String("basic.auth.credentials.source") == "URL" {
			user = parsed.User.Username()
			password, basic = parsed.User.Password()
		}
		parsed.User = nil
		urls[i] = parsed.String()
	}
	opts = append(opts, sr.URLs(urls...))
	if token := v.Password("bearer.auth.token"); !token.IsEmpty() {
		opts = append(opts, sr.BearerToken(token.Reveal()))
	} else if basic {
		opts = append(opts, sr.BasicAuth(user, password))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("schema registry client: %w", err)
	}
	return remoteRegistry{client}, nil
}

// remoteRegistry is a registry reached by HTTP.
type remoteRegistry struct{ client *sr.Client }

func (r remoteRegistry) Register(ctx context.Context, subject, schema string) (int, error) {
	s, err := r.client.CreateSchema(ctx, subject, sr.Schema{Schema: schema})
	return s.ID, registryError(err)
}

func (r remoteRegistry) Lookup(ctx context.Context, subject, schema string) (int, error) {
	s, err := r.client.LookupSchema(ctx, subject, sr.Schema{Schema: schema})
	return s.ID, registryError(err)
}

func (r remoteRegistry) Latest(ctx context.Context, subject string) (int, string, error) {
	s, err := r.client.SchemaByVersion(ctx, subject, -1)
	return s.ID, s.Schema.Schema, registryError(err)
}

func (r remoteRegistry) ByID(ctx context.Context, id int) (string, error) {
	s, err := r.client.SchemaByID(ctx, id)
	if err == nil && (s.Type != sr.TypeAvro || len(s.References) > 0) {
		return "", fmt.Errorf("schema %d is of type %s with %d references; the Avro converter reads Avro schemas without references",
			id, s.Type, len(s.References))
	}
	return s.Schema, registryError(err)
}

// registryError classes an error of a registry: its refusals (incompatible, not found) are about the record, anything
// else is the environment and may pass.
func registryError(err error) error {
	var refused *sr.ResponseError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused) || refused.StatusCode >= 500 || refused.StatusCode == http.StatusTooManyRequests:
		return &connectors.Error{Op: "ask the schema registry", Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	case refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden:
		return &connectors.Error{Op: "ask the schema registry", Class: connectors.ClassEnvironment, Err: err,
			Remedy: "check basic.auth.user.info or bearer.auth.token of the converter"}
	}
	return &connectors.Error{Op: "ask the schema registry", Class: connectors.ClassData, Err: err}
}
