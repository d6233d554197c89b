package schemaregistry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sluicehub/sluice/schemaregistry/access"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultTopic is Confluent's.
const DefaultTopic = "_schemas"

// Options are what a Registry is opened with.
type Options struct {
	// Kafka says how the log is reached: seed brokers, a dialer, TLS, SASL, a client id.
	Kafka []kgo.Opt
	// Topic is where everything is kept; "" is DefaultTopic. It is created if it is not there.
	Topic string
	// Replication is the replication factor of a new topic; 0 leaves it to the broker.
	Replication int16
	// Level is the compatibility level where none is configured; "" is BACKWARD.
	Level Level
	// IncompatibleCode is the error_code of an incompatible schema: 409 (if 0), which all releases of Confluent's
	// registry before 8.0.4 and all its clones answer and clients test for, or 40901, which later ones answer. The
	// HTTP status is 409 with both.
	IncompatibleCode int
	// InheritLevel gives a subject whose configuration names no level that of its context or the global one. Confluent's
	// registry, and this one without it, falls back to Level.
	InheritLevel bool
	// Extended puts the members that Confluent's API has had since 8.0 into all answers, not just into those for clients
	// that say that they accept them.
	Extended bool
	// Access decides who may ask over HTTP, and what; nil: everybody, everything. Go's methods are not asked.
	Access *access.Guard
	// Group is what all registries on one topic have in common, and no others: "" is "schema-registry". With the topic's
	// name behind it, it is the transactional id by which one of them gets the right to write.
	Group string
	// Advertised is the URL by which the other registries of the group reach the Handler; "": they cannot, and take the
	// right to write over when they have something to write.
	Advertised string
	// NeverWrites leaves the writing to others: what is to be written is forwarded, or refused while nobody else writes.
	NeverWrites bool
	// Peers forwards requests to the registry that writes; nil is a client with Go's defaults.
	Peers *http.Client
	// Version is what the registry says that it is.
	Version string
	// Timeout bounds each write, and the catching up before it; 0 is 30 seconds.
	Timeout time.Duration
	// Logger gets what nobody is told otherwise; nil discards it.
	Logger *slog.Logger
}

// Registry is a schema registry on a topic. Its methods may be called by several goroutines at once.
//
// Several registries may use one topic. One of them has the right to write, which the log itself enforces; the others
// follow what it writes, and forward to it what they are asked over HTTP. If it cannot be reached, or is not to be asked,
// another takes the right over.
type Registry struct {
	store  *store
	writer *writer
	census census
	opts   Options
}

// New opens the registry that is kept in the topic. It returns when all of the topic has been read.
func New(ctx context.Context, opts Options) (*Registry, error) {
	if opts.Topic == "" {
		opts.Topic = DefaultTopic
	}
	if opts.Replication == 0 {
		opts.Replication = -1
	}
	if opts.Level == "" {
		opts.Level = Backward
	}
	if opts.IncompatibleCode == 0 {
		opts.IncompatibleCode = http.StatusConflict
	}
	if opts.Group == "" {
		opts.Group = "schema-registry"
	}
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.Peers == nil {
		opts.Peers = &http.Client{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	store, err := openStore(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Registry{store: store, writer: startWriter(store, opts.NeverWrites), opts: opts}, nil
}

// Close ends the registry's writing and reading. Requests that wait are answered with an error.
func (r *Registry) Close() {
	r.writer.close()
	r.store.close()
}

// Register registers an Avro schema under the subject, unless it is there, and returns its id. Errors are of type
// *Error: code 42201 for a text that is no schema, IncompatibleCode for one that may not follow what is there.
func (r *Registry) Register(ctx context.Context, subject, text string) (id int, err error) {
	v, err := r.register(ctx, subject, request{Schema: text}, registering{})
	if err != nil {
		return 0, err
	}
	return v.schema.id, nil
}

// Lookup returns the id of a schema that is registered under the subject; errors are of type *Error, code 40401 or
// 40403 if it is not.
func (r *Registry) Lookup(ctx context.Context, subject, text string) (id int, err error) {
	_, v, err := r.lookup(subject, request{Schema: text}, false, false)
	if err != nil {
		return 0, err
	}
	return v.schema.id, nil
}

// Latest returns the newest schema of the subject, whole as ByID does, and its id.
func (r *Registry) Latest(ctx context.Context, subject string) (id int, text string, err error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	v, err := r.store.state.find(subject, latest, false)
	if err != nil {
		return 0, "", err
	}
	text, err = r.store.state.whole(v.schema)
	return v.schema.id, text, err
}

// ByID returns the text of the schema with that id, also if all versions that have it are soft-deleted. Types that it
// refers to are defined in the text.
func (r *Registry) ByID(ctx context.Context, id int) (text string, err error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	of, err := r.store.state.schemaByID(id, "")
	if err != nil {
		return "", err
	}
	return r.store.state.whole(of)
}

// Health says why the registry does not follow its topic at the moment; nil if it does. What it has read it answers.
func (r *Registry) Health() error {
	select {
	case <-r.store.done:
		return errClosed
	default:
	}
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	return r.store.ill
}

// whole returns the text of a schema that needs no other.
func (s *state) whole(of *schema) (string, error) {
	if len(of.references) == 0 {
		return of.text, nil
	}
	return s.formatted(of, "resolved")
}

// formatted returns the text of a schema in the form that its language calls so, or as it is.
func (s *state) formatted(of *schema, format string) (string, error) {
	if format == "" {
		return of.text, nil
	}
	doc, err := s.document(of)
	if err != nil {
		return "", invalidSchema(err)
	}
	if text, ok := doc.format(format); ok {
		return text, nil
	}
	return of.text, nil
}

// Figures are what the registry is measured by.
type Figures struct {
	Subjects, Versions, DeletedVersions, Schemas int
	// Writes says that this node was the last to claim the topic.
	Writes bool
}

// Figures counts what is registered.
func (r *Registry) Figures() Figures {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	f := Figures{Writes: st.writer.id == r.store.self.id}
	for _, c := range st.contexts {
		f.Schemas += len(c.byID)
	}
	for _, s := range st.subjects {
		live := len(s.live(false))
		f.Versions += live
		f.DeletedVersions += len(s.versions) - live
		if live > 0 {
			f.Subjects++
		}
	}
	return f
}

// change runs decide on a state that holds everything written so far, and writes the records that it returns.
func (r *Registry) change(ctx context.Context, doing string, decide func(*state) ([]*kgo.Record, error)) error {
	return r.make(ctx, doing, &change{decide: func(d *draft) ([]*kgo.Record, error) { return decide(d.state) }})
}

// make has the writer make a change.
func (r *Registry) make(ctx context.Context, doing string, c *change) error {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	c.ctx, c.forwardable = ctx, isForwardable(ctx)
	return r.failed(doing, r.writer.do(c))
}

// failed returns what the API answers for an error of a change.
func (r *Registry) failed(doing string, err error) error {
	var answered *Error
	var away *elsewhere
	switch {
	case err == nil || errors.As(err, &answered) || errors.As(err, &away):
		return err
	case tooLarge(err):
		return &Error{Status: 422, Code: 42209, Message: "Register operation failed because schema is too large", Err: err}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return timedOut(doing, err)
	}
	return storeError(doing, err)
}
