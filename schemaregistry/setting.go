package schemaregistry

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// The modes. FORWARD, which replicates to another registry, is not offered.
const (
	modeReadWrite        = "READWRITE"
	modeReadOnly         = "READONLY"
	modeReadOnlyOverride = "READONLY_OVERRIDE" // Confluent's old name for a READONLY that wins
	modeImport           = "IMPORT"
)

// setting is what a PUT of /config changes: a nil member stays as it is, a set one with cleared is removed.
type setting struct {
	level          *string
	clearLevel     bool
	normalize      *bool
	clearNormalize bool
}

// setConfig changes the configuration of a subject, or the global one for "".
func (r *Registry) setConfig(ctx context.Context, name string, set setting) error {
	if set.level != nil {
		level, err := avro.ParseLevel(*set.level)
		if err != nil {
			return invalidLevel()
		}
		*set.level = string(level)
	}
	return r.change(ctx, "writing the configuration of "+display(name), func(st *state) ([]*kgo.Record, error) {
		if err := st.writable(name); err != nil {
			return nil, err
		}
		value := st.configs[name]
		value.Subject = name
		if set.level != nil {
			value.Level = *set.level
		}
		if set.normalize != nil {
			value.Normalize = set.normalize
		}
		if set.clearLevel {
			value.Level = ""
		}
		if set.clearNormalize {
			value.Normalize = nil
		}
		return []*kgo.Record{{Key: keyOf(configKey, name), Value: marshal(value)}}, nil
	}, nil)
}

func display(name string) string {
	if name == "" {
		return "the whole registry"
	}
	return "subject " + name
}

// config returns the configuration of a subject ("" is global); with byDefault what holds for it if it has none.
func (r *Registry) config(name string, byDefault bool) (configValue, error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	value, ok := st.configs[name]
	if !ok && name != "" && !byDefault {
		return value, levelNotConfigured(name)
	}
	if name == "" || byDefault {
		value.Level = string(st.level(name, r.opts.Level))
	}
	if value.Normalize == nil && byDefault {
		value.Normalize = st.configs[""].Normalize
	}
	return value, nil
}

// deleteConfig removes the configuration of a subject and returns what it was; of the global one, what it is now.
func (r *Registry) deleteConfig(ctx context.Context, name string) (was configValue, err error) {
	err = r.change(ctx, "deleting the configuration of "+display(name), func(st *state) ([]*kgo.Record, error) {
		var ok bool
		if was, ok = st.configs[name]; !ok && name != "" {
			return nil, subjectNotFound(name)
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		return []*kgo.Record{{Key: keyOf(configKey, name)}}, nil
	}, nil)
	if err == nil && name == "" {
		return r.config("", false)
	}
	return was, err
}

// setMode changes the mode of a subject ("" is global); "" as mode clears it. IMPORT wants nothing to be there, or
// force: it deletes what is soft-deleted there.
func (r *Registry) setMode(ctx context.Context, name, mode string, force bool) error {
	mode = strings.ToUpper(mode)
	switch mode {
	case modeReadWrite, modeReadOnly, modeReadOnlyOverride, modeImport, "":
	default:
		return invalidMode()
	}
	return r.change(ctx, "writing the mode of "+display(name), func(st *state) ([]*kgo.Record, error) {
		var records []*kgo.Record
		if mode == modeImport && st.mode(name) != modeImport && !force {
			for other, sub := range st.subjects {
				if name != "" && other != name {
					continue
				}
				if len(sub.live(false)) > 0 {
					return nil, notPermitted("Cannot import since found existing subjects")
				}
				records = append(records, st.removal(other, sub.versions)...)
			}
		}
		record := &kgo.Record{Key: keyOf(modeKey, name)}
		if mode != "" {
			record.Value = marshal(modeValue{name, mode})
		}
		return append(records, record), nil
	}, nil)
}

// modeOf returns the mode of a subject ("" is global); with byDefault what holds for it if it has none.
func (r *Registry) modeOf(name string, byDefault bool) (string, error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	if name != "" && !byDefault && st.modes[name] == "" {
		return "", modeNotConfigured(name)
	}
	return st.mode(name), nil
}

// deleteMode removes the mode of a subject ("" is global) and returns what it was.
func (r *Registry) deleteMode(ctx context.Context, name string) (was string, err error) {
	err = r.change(ctx, "deleting the mode of "+display(name), func(st *state) ([]*kgo.Record, error) {
		if was = st.modes[name]; was == "" && name != "" {
			return nil, subjectNotFound(name)
		}
		if was == "" {
			was = modeReadWrite
		}
		return []*kgo.Record{{Key: keyOf(modeKey, name)}}, nil
	}, nil)
	return was, err
}
