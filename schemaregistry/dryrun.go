package schemaregistry

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

// rehearsal says what a registration would come to.
type rehearsal struct {
	Subject    string   `json:"subject"`
	Version    int      `json:"version,omitempty"` // that it would have, or has; absent if it would be refused
	ID         int      `json:"id,omitempty"`
	Registered bool     `json:"registered"` // it is there already
	Compatible bool     `json:"compatible"`
	Level      Level    `json:"compatibilityLevel"`
	Messages   []string `json:"messages"` // why it is not compatible
	// Latest is the version that the differences are to, 0 if there is none.
	Latest      int          `json:"latest,omitempty"`
	Differences []difference `json:"differences"`
	Schema      string       `json:"schema"` // as it would be kept
}

// rehearse decides on a registration and writes nothing. Errors are those that the registration would be answered with,
// other than that the schema is not compatible.
func (r *Registry) rehearse(name string, q request, how registering) (rehearsal, error) {
	name = shortest(name)
	if err := checkSubject(name); err != nil {
		return rehearsal{}, err
	}
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	p := &registration{r: r, subject: name, request: q, registering: how}
	_, err := p.decide(newDraft(st))
	var refused *Error
	if err != nil && !(errors.As(err, &refused) && refused.Status == 409) {
		return rehearsal{}, err
	}
	a := rehearsal{Subject: name, Compatible: err == nil, Level: Level(p.config(st).Level), Messages: []string{}, Differences: []difference{}}
	switch {
	case err != nil:
		a.Messages, a.Schema = p.messages, p.candidate.text
	case p.result != nil:
		a.Registered, a.Version, a.ID, a.Schema = true, p.result.number, p.result.schema.id, p.result.schema.text
	default:
		a.Version, a.ID, a.Schema = p.number, p.id, p.candidate.text
	}
	if latest, err := st.find(name, latest, false); err == nil {
		a.Latest = latest.number
		if latest.schema.kind == kindOf(q.Type) {
			a.Differences = differences(latest.schema.kind, latest.schema.text, a.Schema)
		}
	}
	return a, nil
}

// restore takes the soft deletion of a version back. It is not checked again: it was when it was registered.
func (r *Registry) restore(ctx context.Context, name, text string) (found *version, err error) {
	name = shortest(name)
	number, err := parseVersion(text)
	if err != nil {
		return nil, err
	}
	err = r.change(ctx, "restoring a version of "+name, func(st *state) ([]*kgo.Record, error) {
		if err := st.writable(name); err != nil {
			return nil, err
		}
		all := st.subjects[name].all()
		if number == latest && len(all) > 0 {
			number = all[len(all)-1].number
		}
		v, err := st.find(name, number, true)
		if err != nil {
			return nil, err
		}
		if found = v; !v.deleted {
			return nil, nil
		}
		for _, other := range st.subjects[name].live(false) {
			if other.schema == v.schema {
				return nil, notPermitted("Version %d of subject %s has the same schema.", other.number, name)
			}
		}
		return []*kgo.Record{recordOf(name, v, false)}, nil
	})
	return found, err
}
