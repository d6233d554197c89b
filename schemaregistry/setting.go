package schemaregistry

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The modes.
const (
	modeReadWrite        = "READWRITE"
	modeReadOnly         = "READONLY"
	modeReadOnlyOverride = "READONLY_OVERRIDE" // Confluent's old name for a READONLY that wins
	modeImport           = "IMPORT"
	modeForward          = "FORWARD" // as IMPORT: what another registry forwards brings its ids; global only
)

func isReadOnly(mode string) bool { return mode == modeReadOnly || mode == modeReadOnlyOverride }

// policyLenient is the compatibility policy that takes additions to JSON Schema's open content models for compatible.
const policyLenient = "LENIENT"

// setConfig changes the configuration of a subject or context; "" is the default context.
func (r *Registry) setConfig(ctx context.Context, name string, change func(*configValue)) error {
	name = shortest(name)
	return r.change(ctx, "writing the configuration of "+display(name), func(st *state) ([]*kgo.Record, error) {
		if err := st.writable(name); err != nil {
			return nil, err
		}
		value := st.configs[name]
		value.Subject = name
		change(&value)
		return []*kgo.Record{{Key: st.settingKey(configKey, name), Value: marshal(value)}}, nil
	})
}

func display(name string) string {
	if name == "" {
		return "the default context"
	}
	return "subject " + name
}

// config returns the configuration of a subject or context; with byDefault, and of the default context, what holds for
// it.
func (r *Registry) config(name string, byDefault bool) (configValue, error) {
	name = shortest(name)
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	if name == "" || byDefault {
		return st.configOf(name, r.opts.Level, r.opts.InheritLevel), nil
	}
	value, ok := st.configs[name]
	if !ok {
		return value, levelNotConfigured(name)
	}
	return r.withLevel(value), nil
}

// withLevel returns a configuration with the server's level if it has none.
func (r *Registry) withLevel(value configValue) configValue {
	if value.Level == "" {
		value.Level = string(r.opts.Level)
	}
	return value
}

// deleteConfig removes the configuration of a subject or context and returns what it was.
func (r *Registry) deleteConfig(ctx context.Context, name string) (was configValue, err error) {
	name = shortest(name)
	err = r.change(ctx, "deleting the configuration of "+display(name), func(st *state) ([]*kgo.Record, error) {
		var ok bool
		if was, ok = st.configs[name]; !ok && name != "" {
			return nil, subjectNotFound(name)
		}
		was = r.withLevel(was)
		if !ok {
			return nil, nil
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		return []*kgo.Record{{Key: st.settingKey(configKey, name)}}, nil
	})
	return was, err
}

// setMode changes the mode of a subject or context; "" as mode clears it. IMPORT wants nothing to be there, or force: it
// forgets what is soft-deleted there.
func (r *Registry) setMode(ctx context.Context, name, mode string, force bool) error {
	name, mode = shortest(name), strings.ToUpper(mode)
	switch mode {
	case modeReadWrite, modeReadOnly, modeReadOnlyOverride, modeImport, "":
	case modeForward:
		if name != globalScope {
			return answer(42204, "The mode FORWARD can be set for the global context %s only", globalScope)
		}
	default:
		return invalidMode()
	}
	return r.change(ctx, "writing the mode of "+display(name), func(st *state) ([]*kgo.Record, error) {
		var records []*kgo.Record
		if mode == modeImport && st.mode(name) != modeImport && !force {
			var err error
			if records, err = st.cleared(name); err != nil {
				return nil, err
			}
		}
		record := &kgo.Record{Key: st.settingKey(modeKey, name)}
		if mode != "" {
			record.Value = marshal(modeValue{name, mode})
		}
		return append(records, record), nil
	})
}

// cleared returns the records that forget the soft-deleted versions in the scope of a name, or refuses if there are
// others.
func (s *state) cleared(name string) (records []*kgo.Record, err error) {
	for _, other := range within(name, s.subjects) {
		sub := s.subjects[other]
		if len(sub.live(false)) > 0 {
			return nil, notPermitted("Cannot import since found existing subjects")
		}
		if err := s.unreferenced(other, sub.versions, false, true); err != nil {
			return nil, err
		}
		records = append(records, s.removal(other, sub.versions)...)
	}
	if len(records) > 0 {
		records = append(records, &kgo.Record{Key: keyOf(clearSubjectKey, name), Value: marshal(deleteScope{name})})
	}
	return records, nil
}

type deleteScope struct {
	Subject string `json:"subject,omitempty"`
}

// within returns those of the names that are in the scope of one, by name: itself, or those of the context that it is,
// or all.
func within[V any](name string, names map[string]V) []string {
	context, own := splitSubject(name)
	var list []string
	for _, other := range slices.Sorted(maps.Keys(names)) {
		if other == name || own == "" && (context == globalContext || contextOf(other) == context) {
			list = append(list, other)
		}
	}
	return list
}

// modeOf returns the mode of a subject or context; with byDefault, and of the default context, what holds for it. A
// READONLY_OVERRIDE of the default context is everybody's.
func (r *Registry) modeOf(name string, byDefault bool) (string, error) {
	name = shortest(name)
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	if all := st.modes[""]; all == modeReadOnlyOverride {
		return all, nil
	}
	if name != "" && !byDefault && st.modes[name] == "" {
		return "", modeNotConfigured(name)
	}
	if name == "" || byDefault {
		return st.mode(name), nil
	}
	return st.modes[name], nil
}

// deleteMode removes the mode of a subject or context and returns what it was; recursive, also those of everything in
// the context.
func (r *Registry) deleteMode(ctx context.Context, name string, recursive bool) (was string, err error) {
	name = shortest(name)
	err = r.change(ctx, "deleting the mode of "+display(name), func(st *state) ([]*kgo.Record, error) {
		if was = st.modes[name]; was == "" && name != "" && !recursive {
			return nil, subjectNotFound(name)
		}
		var records []*kgo.Record
		if was != "" {
			records = append(records, &kgo.Record{Key: st.settingKey(modeKey, name)})
		}
		if recursive {
			for _, other := range within(name, st.modes) {
				if other != name {
					records = append(records, &kgo.Record{Key: st.settingKey(modeKey, other)})
				}
			}
		} else if was == "" {
			was = modeReadWrite
		}
		return records, nil
	})
	return was, err
}
