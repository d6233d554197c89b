package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterClientQuotas answers AlterClientQuotas. All quotas are kept; the log says which is not enforced.
func (b *Broker) alterClientQuotas(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AlterClientQuotasRequest)
	resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	for i := range req.Entries {
		want := &req.Entries[i]
		entry := kmsg.NewAlterClientQuotasResponseEntry()
		var e quotaEntity
		for _, part := range want.Entity {
			e = append(e, quotaPart{Type: part.Type, Name: part.Name})
			entity := kmsg.NewAlterClientQuotasResponseEntryEntity()
			entity.Type, entity.Name = part.Type, part.Name
			entry.Entity = append(entry.Entity, entity)
		}
		var changes []quotaChange
		for _, op := range want.Ops {
			changes = append(changes, quotaChange{op.Key, op.Value, op.Remove})
		}
		err := r.cluster(mayAlterConfigs)
		if err == nil {
			err = b.quotas.alter(e, changes, req.ValidateOnly)
		}
		for _, c := range changes {
			if err == nil && !req.ValidateOnly && !c.remove && c.key == connectionCreationRate {
				b.logger.Warn("a client quota is kept and shown, and not enforced", "quota", c.key)
			}
		}
		entry.ErrorCode, entry.ErrorMessage = errorCode(err), errorText(err)
		resp.Entries = append(resp.Entries, entry)
	}
	return now(resp), nil
}
