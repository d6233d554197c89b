package broker

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	literal  = kmsg.ACLResourcePatternTypeLiteral
	prefixed = kmsg.ACLResourcePatternTypePrefixed
	allow    = kmsg.ACLPermissionTypeAllow
	deny     = kmsg.ACLPermissionTypeDeny
)

// rule is a rule about topics.
func rule(permission kmsg.ACLPermissionType, who string, op kmsg.ACLOperation, pattern kmsg.ACLResourcePatternType, name string) acl {
	return acl{topicResource, pattern, name, who, anything, op, permission}
}

func openLog(t *testing.T, dir string) *log.Log {
	t.Helper()
	l, err := log.Open(log.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestRules decides as Kafka's StandardAuthorizer does.
func TestRules(t *testing.T) {
	all := kmsg.ACLOperationAll
	for name, c := range map[string]struct {
		opts  ACLOptions
		rules []acl
		op    kmsg.ACLOperation // of User:a at 10.0.0.1, on topic orders
		want  bool
	}{
		"no rule":                        {op: mayRead},
		"no rule is needed":              {opts: ACLOptions{AllowWithoutRule: true}, op: mayRead, want: true},
		"a rule for others":              {opts: ACLOptions{AllowWithoutRule: true}, rules: []acl{rule(allow, "User:b", mayRead, literal, "orders")}, op: mayRead},
		"a rule on another topic":        {opts: ACLOptions{AllowWithoutRule: true}, rules: []acl{rule(allow, "User:b", mayRead, literal, "order")}, op: mayRead, want: true},
		"super":                          {opts: ACLOptions{SuperUsers: []string{"User:a"}}, rules: []acl{rule(deny, "User:a", all, literal, "*")}, op: mayRead, want: true},
		"allowed":                        {rules: []acl{rule(allow, "User:a", mayRead, literal, "orders")}, op: mayRead, want: true},
		"another operation":              {rules: []acl{rule(allow, "User:a", mayRead, literal, "orders")}, op: mayWrite},
		"all operations":                 {rules: []acl{rule(allow, "User:a", all, literal, "orders")}, op: mayWrite, want: true},
		"everybody":                      {rules: []acl{rule(allow, anyUser, mayRead, literal, "orders")}, op: mayRead, want: true},
		"all topics":                     {rules: []acl{rule(allow, "User:a", mayRead, literal, "*")}, op: mayRead, want: true},
		"prefix":                         {rules: []acl{rule(allow, "User:a", mayRead, prefixed, "ord")}, op: mayRead, want: true},
		"other prefix":                   {rules: []acl{rule(allow, "User:a", mayRead, prefixed, "orderss")}, op: mayRead},
		"a star is no prefix":            {rules: []acl{rule(allow, "User:a", mayRead, prefixed, "*")}, op: mayRead},
		"denied, whatever is allowed":    {rules: []acl{rule(allow, "User:a", all, literal, "orders"), rule(deny, anyUser, mayRead, prefixed, "o")}, op: mayRead},
		"something else is denied":       {rules: []acl{rule(allow, "User:a", all, literal, "orders"), rule(deny, anyUser, mayWrite, prefixed, "o")}, op: mayRead, want: true},
		"who reads may describe":         {rules: []acl{rule(allow, "User:a", mayRead, literal, "orders")}, op: mayDescribe, want: true},
		"who may not read may describe":  {rules: []acl{rule(allow, "User:a", mayDescribe, literal, "orders"), rule(deny, "User:a", mayRead, literal, "orders")}, op: mayDescribe, want: true},
		"who alters configs, sees them":  {rules: []acl{rule(allow, "User:a", mayAlterConfigs, literal, "orders")}, op: mayDescribeConfigs, want: true},
		"who describes, sees no configs": {rules: []acl{rule(allow, "User:a", mayDescribe, literal, "orders")}, op: mayDescribeConfigs},
		"at that host":                   {rules: []acl{{topicResource, literal, "orders", "User:a", "10.0.0.1", mayRead, allow}}, op: mayRead, want: true},
		"at another host":                {rules: []acl{{topicResource, literal, "orders", "User:a", "10.0.0.2", mayRead, allow}}, op: mayRead},
		"a group of that name":           {rules: []acl{{groupResource, literal, "orders", "User:a", "*", mayRead, allow}}, op: mayRead},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Enabled = true
			a := &acls{opts: c.opts, rules: c.rules}
			if got := a.allow("User:a", "10.0.0.1", c.op, topicResource, "orders"); got != c.want {
				t.Errorf("allowed: %v", got)
			}
		})
	}
}

// TestSomeResource asks whether anything of the kind can be allowed.
func TestSomeResource(t *testing.T) {
	for name, c := range map[string]struct {
		rules []acl
		want  bool
	}{
		"nothing":                {nil, false},
		"one":                    {[]acl{rule(allow, "User:a", mayWrite, literal, "orders")}, true},
		"another's":              {[]acl{rule(allow, "User:b", mayWrite, literal, "orders")}, false},
		"denied":                 {[]acl{rule(allow, "User:a", mayWrite, literal, "orders"), rule(deny, "User:a", mayWrite, literal, "orders")}, false},
		"denied by prefix":       {[]acl{rule(allow, "User:a", mayWrite, literal, "orders"), rule(deny, "User:a", mayWrite, prefixed, "ord")}, false},
		"prefix denied in part":  {[]acl{rule(allow, "User:a", mayWrite, prefixed, "ord"), rule(deny, "User:a", mayWrite, literal, "orders")}, true},
		"all denied":             {[]acl{rule(allow, "User:a", mayWrite, prefixed, "ord"), rule(deny, "User:a", mayWrite, literal, "*")}, false},
		"all allowed but prefix": {[]acl{rule(allow, "User:a", mayWrite, literal, "*"), rule(deny, "User:a", mayWrite, prefixed, "ord")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &acls{opts: ACLOptions{Enabled: true}, rules: c.rules}
			if got := a.allowSome("User:a", "10.0.0.1", mayWrite, topicResource); got != c.want {
				t.Errorf("allowed: %v", got)
			}
		})
	}
}

// TestRulesAreKept makes and removes rules over a restart.
func TestRulesAreKept(t *testing.T) {
	l := openLog(t, t.TempDir())
	a, err := openACLs(l, ACLOptions{Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	one, two := rule(allow, "User:a", mayRead, literal, "x"), rule(deny, "User:b", mayWrite, prefixed, "y")
	if err := a.add([]acl{one, two, one}); err != nil {
		t.Fatal(err)
	}
	again, err := openACLs(l, ACLOptions{Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]acl{one, two}, again.rules); diff != "" {
		t.Error(diff)
	}
	removed, err := again.remove(func(a *acl) bool { return a.Principal == "User:a" })
	if err != nil || len(removed) != 1 || removed[0] != one {
		t.Errorf("removed %v, %v", removed, err)
	}
	if again, err = openACLs(l, ACLOptions{Enabled: true}); err != nil || len(again.rules) != 1 {
		t.Errorf("%v, %v", again, err)
	}
}

// TestACLRequests makes, finds and removes rules through the protocol.
func TestACLRequests(t *testing.T) {
	s := start(t, t.TempDir(), func(o *Options) { o.ACLs = ACLOptions{Enabled: true, SuperUsers: []string{anonymous}} })
	cl := s.client(false)
	adm, ctx := kadm.NewClient(cl), t.Context()
	made, err := adm.CreateACLs(ctx, kadm.NewACLs().Topics("orders", "order").ResourcePatternType(kadm.ACLPatternPrefixed).Groups("g").
		Operations(kadm.OpRead, kadm.OpDescribe).Allow("User:a", "User:b").AllowHosts("10.0.0.1"))
	if err != nil || len(made) != 12 {
		t.Fatalf("%d made, %v", len(made), err)
	}
	for _, m := range made {
		if m.Err != nil {
			t.Errorf("%+v", m)
		}
	}
	count := func(kind kmsg.ACLResourceType, pattern kmsg.ACLResourcePatternType, name string) int {
		t.Helper()
		req := kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = kind, pattern, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		if name != "" {
			req.ResourceName = &name
		}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil || resp.ErrorCode != 0 {
			t.Fatalf("%+v, %v", resp, err)
		}
		n := 0
		for _, r := range resp.Resources {
			n += len(r.ACLs)
		}
		return n
	}
	anyKind, anyPattern, match := kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLResourcePatternTypeMatch
	for _, c := range []struct{ got, want int }{
		{count(anyKind, anyPattern, ""), 12}, {count(topicResource, anyPattern, ""), 8}, {count(topicResource, prefixed, "order"), 4},
		{count(topicResource, literal, "orders"), 0}, {count(topicResource, match, "orders"), 8}, {count(topicResource, match, "order"), 4},
		{count(groupResource, match, "gg"), 4}, {count(groupResource, match, "f"), 0},
	} {
		if c.got != c.want {
			t.Errorf("%d rules, want %d", c.got, c.want)
		}
	}
	wrong := kmsg.NewPtrCreateACLsRequest()
	for _, change := range []func(*kmsg.CreateACLsRequestCreation){
		func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = kmsg.ACLResourceTypeAny },
		func(c *kmsg.CreateACLsRequestCreation) { c.ResourcePatternType = match },
		func(c *kmsg.CreateACLsRequestCreation) { c.ResourceName = "" },
		func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = clusterResource },
		func(c *kmsg.CreateACLsRequestCreation) { c.Principal = "a" },
		func(c *kmsg.CreateACLsRequestCreation) { c.Host = "" },
		func(c *kmsg.CreateACLsRequestCreation) { c.Operation = kmsg.ACLOperationAny },
		func(c *kmsg.CreateACLsRequestCreation) { c.PermissionType = kmsg.ACLPermissionTypeAny },
	} {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.Principal, c.Host, c.Operation, c.PermissionType = topicResource, "t", "User:a", "*", mayRead, allow
		change(&c)
		wrong.Creations = append(wrong.Creations, c)
	}
	refused, err := wrong.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range refused.Results {
		if r.ErrorCode != kerr.InvalidRequest.Code || r.ErrorMessage == nil {
			t.Errorf("rule %d is answered %d", i, r.ErrorCode)
		}
	}
	gone, err := adm.DeleteACLs(ctx, kadm.NewACLs().Topics("orders").ResourcePatternType(kadm.ACLPatternMatch).Operations(kadm.OpRead).Allow("User:a").AllowHosts().Deny().DenyHosts())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range gone {
		n += len(g.Deleted)
	}
	if left := count(anyKind, anyPattern, ""); left != 10 || n != 2 {
		t.Errorf("%d removed, %d left", n, left)
	}
}

// TestACLsAreOff says so, as Kafka does without an authorizer.
func TestACLsAreOff(t *testing.T) {
	s := start(t, t.TempDir())
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	resp, err := req.RequestWith(t.Context(), s.client(false))
	if err != nil || resp.ErrorCode != kerr.SecurityDisabled.Code {
		t.Errorf("%+v, %v", resp, err)
	}
}
