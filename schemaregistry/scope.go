package schemaregistry

import "slices"

// The settings that hold for a subject, and where they come from.
//
//	mode     subject, or its context, or :.__GLOBAL:, or READWRITE
//	config   subject's own, with what it does not say from the default context and the level from the server;
//	         or its context's, or that of :.__GLOBAL:, or nothing
//
// The default context's settings are what /config and /mode without a name set.

// scopes returns where a setting of name is looked for, nearest first.
func scopes(name string) []string {
	context := contextOf(name)
	list := []string{name}
	if whole := joinSubject(context, ""); whole != name {
		list = append(list, whole)
	}
	if name != globalScope {
		list = append(list, globalScope)
	}
	return list
}

// configOf returns the configuration that holds for a subject or context. Confluent takes what a subject's own one
// does not say from the default context, whichever context the subject is in, but the level from the server's default,
// past everything else; with inherit, the level comes from the nearest scope that has one.
func (s *state) configOf(name string, standard Level, inherit bool) configValue {
	value, level := configValue{}, ""
	for i, scope := range scopes(name) {
		c, there := s.configs[scope]
		if !there {
			continue
		}
		value, level = c, c.Level
		if i == 0 && name != joinSubject(contextOf(name), "") {
			value = withDefaults(c, s.configs[""])
		}
		if level == "" && inherit {
			level = s.inheritedLevel(name)
		}
		break
	}
	if l, err := ParseLevel(level); err == nil {
		standard = l
	}
	value.Level = string(standard)
	return value
}

func (s *state) inheritedLevel(name string) string {
	for _, scope := range scopes(name) {
		if l := s.configs[scope].Level; l != "" {
			return l
		}
	}
	return s.configs[""].Level
}

// withDefaults fills in what a subject's own configuration has from the default context's. Aliases, metadata and rules
// are not inherited.
func withDefaults(own, above configValue) configValue {
	for _, f := range []struct{ own, above **bool }{
		{&own.Normalize, &above.Normalize},
		{&own.ValidateFields, &above.ValidateFields},
		{&own.ValidateNew, &above.ValidateNew},
		{&own.ValidateRules, &above.ValidateRules},
	} {
		if *f.own == nil {
			*f.own = *f.above
		}
	}
	if own.Policy == "" {
		own.Policy = above.Policy
	}
	if own.Group == "" {
		own.Group = above.Group
	}
	return own
}

// isSet reports whether an optional flag is set and true.
func isSet(flag *bool) bool { return flag != nil && *flag }

// mode returns the mode that holds for a subject or context. READONLY_OVERRIDE of the context wins over the subject's.
func (s *state) mode(name string) string {
	list := scopes(name)
	for _, scope := range list[1:] {
		if s.modes[scope] == modeReadOnlyOverride {
			return modeReadOnlyOverride
		}
	}
	for _, scope := range list {
		if m := s.modes[scope]; m != "" {
			return m
		}
	}
	return modeReadWrite
}

// aliased returns the subject that an alias stands for, or the name itself.
func (s *state) aliased(name string) string {
	if alias := s.configs[name].Alias; alias != "" {
		return shortest(inContext(contextOf(name), alias))
	}
	return name
}

// aliases returns the aliases of each subject that has some, sorted.
func (s *state) aliases() map[string][]string {
	of := make(map[string][]string)
	for name := range s.configs {
		if target := s.aliased(name); target != name {
			of[target] = append(of[target], name)
		}
	}
	for _, names := range of {
		slices.Sort(names)
	}
	return of
}
