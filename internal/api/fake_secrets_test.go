package api

import (
	"context"
	"time"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

func (f *fake) ListSecrets(context.Context) (list []wire.Secret, err error) {
	end, err := f.begin("ListSecrets")
	defer end()
	for _, name := range sortedKeys(f.secrets) {
		list = append(list, wire.Secret{Name: name, ChangedAt: wire.NewTime(time.Unix(1, 0))})
	}
	return list, err
}

func (f *fake) SetSecret(_ context.Context, name, value string) (*wire.Secret, error) {
	end, err := f.begin("SetSecret")
	defer end()
	if err == nil && !job.ValidSecretName(name) {
		err = job.Errorf(job.KindInvalid, "%q cannot be the name of a secret", name)
	}
	if err != nil {
		return nil, err
	}
	f.secrets[name] = value
	return &wire.Secret{Name: name, ChangedAt: wire.NewTime(time.Unix(1, 0))}, nil
}

func (f *fake) DeleteSecret(_ context.Context, name string) error {
	end, err := f.begin("DeleteSecret")
	defer end()
	if _, ok := f.secrets[name]; err == nil && !ok {
		err = job.Errorf(job.KindNotFound, "there is no secret %q", name)
	}
	if err == nil {
		delete(f.secrets, name)
	}
	return err
}
