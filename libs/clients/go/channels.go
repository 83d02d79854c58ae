package sesior

import (
	"context"
	"crypto/rand"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"sesior/internal/broadcastpb"
	"sesior/internal/presencepb"
	"sesior/internal/sessionpb"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	shunned      = time.Second // an address that was away is asked last for so long
)

// From 0 on, below limit.
func random(limit int64) int64 {
	number, err := rand.Int(rand.Reader, big.NewInt(limit))
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return number.Int64()
}

// Before try number tries+1: doubled each time, between half of it and all.
func pauseBefore(tries int, advised, first, longest time.Duration) time.Duration {
	whole := longest
	if tries < 20 && first<<(tries-1) < longest {
		whole = first << (tries - 1)
	}
	pause := whole/2 + time.Duration(random(int64(whole/2)+1))
	if advised > pause {
		return advised
	}
	return pause
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// One address.
type place struct {
	address    string
	conn       *grpc.ClientConn
	sessions   sessionpb.SessionServiceClient
	broadcasts broadcastpb.BroadcastServiceClient
	presence   presencepb.PresenceServiceClient
	health     grpc_health_v1.HealthClient
	awayUntil  int64 // Unix nanoseconds; atomic
}

func (p *place) shun()      { atomic.StoreInt64(&p.awayUntil, time.Now().Add(shunned).UnixNano()) }
func (p *place) away() bool { return atomic.LoadInt64(&p.awayUntil) > time.Now().UnixNano() }

// A connection for each address, and calls that go from one to the next. Safe for concurrent use.
type channels struct {
	places   []*place
	turn     uint32 // atomic
	token    func() (string, error)
	timeout  time.Duration
	maxTries int
}

func openChannels(options Options) (*channels, error) {
	security := grpc.WithInsecure()
	if options.TLS != nil {
		security = grpc.WithTransportCredentials(credentials.NewTLS(options.TLS))
	}
	c := &channels{token: options.Token, timeout: options.Timeout, maxTries: options.MaxTries, turn: uint32(random(1024))}
	for _, address := range options.Addresses {
		target := address
		if !strings.HasPrefix(address, "unix:") && !strings.Contains(address, "://") {
			target = "dns:///" + address
		}
		conn, err := grpc.Dial(target, security,
			grpc.WithDisableRetry(), // ours know request ids and deadlines
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
				MinConnectTimeout: time.Second,
			}))
		if err != nil {
			_ = c.close()
			return nil, err
		}
		c.places = append(c.places, &place{
			address: address, conn: conn, sessions: sessionpb.NewSessionServiceClient(conn),
			broadcasts: broadcastpb.NewBroadcastServiceClient(conn), presence: presencepb.NewPresenceServiceClient(conn),
			health: grpc_health_v1.NewHealthClient(conn),
		})
	}
	return c, nil
}

// The next place in turn; one that was away a moment ago only when all were.
func (c *channels) pick() *place {
	start := int(atomic.AddUint32(&c.turn, 1) % uint32(len(c.places)))
	for i := range c.places {
		if p := c.places[(start+i)%len(c.places)]; !p.away() {
			return p
		}
	}
	return c.places[start]
}

func (c *channels) withToken(ctx context.Context) (context.Context, error) {
	if c.token == nil {
		return ctx, nil
	}
	token, err := c.token()
	if err != nil || token == "" {
		return ctx, err
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// One unary call, within the deadline of ctx, else the client's. Repeats UNAVAILABLE only: every call is either
// idempotent or carries a request id.
func (c *channels) call(ctx context.Context, method string, step func(context.Context, *place) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	for tries := 1; ; tries++ {
		called, err := c.withToken(ctx)
		if err != nil {
			return err
		}
		p := c.pick()
		if err = step(called, p); err == nil {
			return nil
		}
		failure := fromGRPC(err, method)
		if failure.Code == codes.Unavailable {
			p.shun()
		}
		pause := pauseBefore(tries, failure.RetryAfter, firstPause, longestPause)
		deadline, _ := ctx.Deadline()
		if failure.Code != codes.Unavailable || tries >= c.maxTries || time.Now().Add(pause).After(deadline) || !sleep(ctx, pause) {
			return failure
		}
	}
}

func (c *channels) healthOf(ctx context.Context) map[string]bool {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	serving := make([]bool, len(c.places))
	var all sync.WaitGroup
	for i, p := range c.places {
		all.Add(1)
		go func(i int, p *place) {
			defer all.Done()
			answer, err := p.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			serving[i] = err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
		}(i, p)
	}
	all.Wait()
	found := make(map[string]bool, len(c.places))
	for i, p := range c.places {
		found[p.address] = serving[i]
	}
	return found
}

func (c *channels) close() error {
	var first error
	for _, p := range c.places {
		if err := p.conn.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
