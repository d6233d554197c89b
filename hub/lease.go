package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lease is the right of one worker to something that workers cannot share: it is the leader, and the only member, of
// a Kafka group. The group is of Connect's protocol type, so that a Connect cluster cannot have it at the same time.
//
// The member is a static one (KIP-345), named after the worker. So a worker that was killed takes the place of its
// former self at once, and if two of the same name are alive, the later one fences the earlier.
type lease struct {
	group    string // the Kafka group
	what     string // what the lease is of, for people
	instance string // the worker, also after a restart
	session  time.Duration
	beat     time.Duration
	client   *kgo.Client
	log      *slog.Logger

	member     string // "": not a member
	generation int32
}

// The protocol of the group. Connect's workers have the same type and other names.
const (
	leaseType     = "connect"
	leaseProtocol = "sluice-lease"
)

// leaseMargin is how much longer than a session it may take until a dead holder is gone.
const leaseMargin = 3 * time.Second

// leasePause is how often it is looked whether the holder has gone.
const leasePause = 250 * time.Millisecond

// errTaken says that another worker has the lease.
type errTaken struct{ text string }

func (e *errTaken) Error() string { return e.text }

func (l *lease) taken(by string) error {
	return &errTaken{fmt.Sprintf("another worker runs with %s: %s. Workers cannot share connectors yet: stop that one, "+
		"or give this one its own group.id, config.storage.topic, offset.storage.topic and status.storage.topic", l.what, by)}
}

// await returns when nobody else has the lease. It waits as long as it takes a holder that was killed to be forgotten;
// then it returns that another worker has it.
func (l *lease) await(ctx context.Context) error {
	give := time.Now().Add(l.session + leaseMargin)
	for waiting := false; ; waiting = true {
		holder, err := l.holder(ctx)
		if err != nil {
			return err
		}
		if holder == "" {
			return nil
		}
		if time.Now().After(give) {
			return l.taken(holder)
		}
		if !waiting {
			l.log.Warn("another worker is there; waiting whether it has ended", "with", l.what, "worker", holder, "for", l.session+leaseMargin)
		}
		if err := sleep(ctx, leasePause); err != nil {
			return err
		}
	}
}

// holder describes another worker that has the lease, or may have had it until it was killed; "" if there is none.
// This worker's former self is none.
func (l *lease) holder(ctx context.Context) (string, error) {
	var group kadm.DescribedGroup
	err := patiently(ctx, func() error {
		all, err := kadm.NewClient(l.client).DescribeGroups(ctx, l.group)
		if err == nil {
			group = all[l.group]
			err = group.Err
		}
		if errors.Is(err, kerr.GroupIDNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask who holds group %s: %w", l.group, err)
	}
	for _, m := range group.Members {
		if m.InstanceID == nil {
			return m.MemberID + " at " + m.ClientHost, nil
		}
		if *m.InstanceID != l.instance {
			return *m.InstanceID + " at " + m.ClientHost, nil
		}
	}
	return "", nil
}

// join makes this worker a member, or lets it join again, until a generation stands. It fails if another one leads.
func (l *lease) join(ctx context.Context) error {
	for {
		resp, err := l.askJoin(ctx)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		switch {
		case errors.Is(err, kerr.MemberIDRequired):
			l.member = resp.MemberID
			continue
		case errors.Is(err, kerr.UnknownMemberID) && l.member != "":
			l.member = ""
			continue
		case errors.Is(err, kerr.InconsistentGroupProtocol):
			return l.taken("a Kafka Connect cluster")
		case err != nil:
			return fmt.Errorf("join group %s: %w", l.group, err)
		}
		l.member, l.generation = resp.MemberID, resp.Generation
		// Brokers before 3.2 name a static leader's former self when it comes back.
		if leads := resp.LeaderID == l.member || strings.HasPrefix(resp.LeaderID, l.instance+"-"); !leads {
			l.release(ctx)
			return l.taken(resp.LeaderID)
		}
		if err = l.sync(ctx, *resp.Protocol); err == nil {
			return nil
		}
		if !errors.Is(err, kerr.RebalanceInProgress) && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.IllegalGeneration) {
			return fmt.Errorf("synchronize group %s: %w", l.group, err)
		}
	}
}

func (l *lease) askJoin(ctx context.Context) (*kmsg.JoinGroupResponse, error) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = l.group, l.member, &l.instance, leaseType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(l.session.Milliseconds()), int32(l.session.Milliseconds())
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = leaseProtocol, []byte{}
	req.Protocols = append(req.Protocols, protocol)
	return req.RequestWith(ctx, l.client)
}

// sync tells the group that there is nothing to share.
func (l *lease) sync(ctx context.Context, protocol string) error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = l.group, l.generation, l.member, &l.instance
	req.ProtocolType, req.Protocol = kmsg.StringPtr(leaseType), &protocol
	own := kmsg.NewSyncGroupRequestGroupAssignment()
	own.MemberID, own.MemberAssignment = l.member, []byte{}
	req.GroupAssignment = append(req.GroupAssignment, own)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// keep holds the lease until ctx ends, which is no error, or until another worker has it. A log that does not answer
// is waited for: nobody else can write to it either, and whether somebody did meanwhile is seen afterwards.
func (l *lease) keep(ctx context.Context) error {
	tick := time.NewTicker(l.beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := l.heartbeat(ctx)
		switch {
		case errors.Is(err, kerr.RebalanceInProgress), errors.Is(err, kerr.IllegalGeneration):
			err = l.join(ctx)
		case errors.Is(err, kerr.UnknownMemberID):
			err = l.comeBack(ctx)
		case errors.Is(err, kerr.FencedInstanceID):
			return l.taken("one of the same name, " + l.instance + ", which was started later")
		}
		var taken *errTaken
		if errors.As(err, &taken) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			l.log.Warn("the log did not take a sign of life of this worker; it is tried again", "group", l.group, "error", err)
		}
	}
}

func (l *lease) heartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.session)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = l.group, l.generation, l.member, &l.instance
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// comeBack gets the lease again after the log had forgotten this worker (it slept, or the network was away), unless
// another one has it, or had it meanwhile: what this one knows would be old.
func (l *lease) comeBack(ctx context.Context) error {
	holder, err := l.holder(ctx)
	if err != nil {
		return err
	}
	if holder != "" {
		return l.taken(holder)
	}
	// A group counts its generations: one more when the last member goes, one more when one comes. One that was
	// forgotten counts anew, and tells nothing.
	was := l.generation
	l.member = ""
	if err := l.join(ctx); err != nil {
		return err
	}
	if l.generation <= was || l.generation > was+2 {
		l.release(ctx)
		return l.taken("it came while the log did not hear of this one, and may have ended meanwhile")
	}
	l.log.Warn("the log had forgotten this worker; nobody took its place", "group", l.group)
	return nil
}

// release gives the lease back, so that the next worker need not wait.
func (l *lease) release(ctx context.Context) {
	if l.member == "" {
		return
	}
	member := l.member
	l.member = ""
	if err := leaveGroup(ctx, l.client, l.group, member, l.instance); err != nil {
		l.log.Warn("this worker could not say that it leaves; the next one may have to wait", "group", l.group, "error", err)
	}
}

// leases are all that a worker must have before it runs connectors.
type leases []*lease

// acquire gets all of them, or none. Who has one cannot wait for another: nobody gives signs of life yet.
func (all leases) acquire(ctx context.Context) error {
	if err := all.each(func(l *lease) error { return l.await(ctx) }); err != nil {
		return err
	}
	err := all.each(func(l *lease) error { return l.join(ctx) })
	if err != nil {
		all.release(ctx)
	}
	return err
}

// keep holds them until ctx ends, which is no error, or until one of them is lost.
func (all leases) keep(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return all.each(func(l *lease) error {
		defer cancel()
		return l.keep(ctx)
	})
}

func (all leases) release(ctx context.Context) {
	_ = all.each(func(l *lease) error { l.release(ctx); return nil })
}

// each does something with all of them at the same time, and returns the first error.
func (all leases) each(do func(*lease) error) error {
	errs := make(chan error, len(all))
	for _, l := range all {
		go func() { errs <- do(l) }()
	}
	var first error
	for range all {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}
