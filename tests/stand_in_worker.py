import os, signal, sys, time
from pathlib import Path
import torch, torch.distributed as dist
from gigafactory.run.record import RunFolder, now
from gigafactory.spec.run import StepRecord, RunResult
stop=[False]
signal.signal(signal.SIGTERM, lambda *a: stop.__setitem__(0,True))
dist.init_process_group('gloo')
r=dist.get_rank(); f=RunFolder(Path(sys.argv[1])); ck=f.path/'checkpoints'/'ck'
s=int(ck.read_text()) if ck.exists() else 0
n=int(os.environ.get("GIGAFACTORY_STEPS","20"))
if r==0:
    f.rewind(s); f.add_event("resume" if s else "start",rank=0,pid=os.getpid(),step=s)
print('start',r,'world',dist.get_world_size(),'at',s,os.environ['SLURMD_NODENAME'],os.environ['OMP_NUM_THREADS'],flush=True)
STOPF=f.path/"stop"
while s<n:
    time.sleep(.2); t=torch.tensor([1.0 if stop[0] or STOPF.exists() else 0.0]); dist.all_reduce(t); s+=1
    if r==0:
        f.add_step(StepRecord(step=s,loss=1.0,tokens=1,step_time_s=.2,time=now()))
        if s%5==0 or t.item(): ck.with_suffix('.p').write_text(str(s)); ck.with_suffix('.p').replace(ck)
    if t.item(): break
if r==0: f.finish(RunResult(state="finished" if s>=n else "stopped",steps=s,final_loss=1.0,goodput=1.0,restarts=0))
dist.barrier(); dist.destroy_process_group()
