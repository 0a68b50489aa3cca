class Config:
    zero_gpu = True
